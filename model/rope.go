package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"gotune/internal/op"
)

// A Rope describes rotary embeddings and how their frequencies are scaled for texts
// longer than those of pretraining. The keys are those of transformers' rope_scaling
// (version 4) and rope_parameters (version 5); what a kind does not use is zero.
type Rope struct {
	// Theta is the base of the frequencies θ^(−2i/D) of the D elements that are turned.
	Theta float64 `json:"rope_theta,omitempty"`
	// Partial is the share of a head's elements that are turned, its first ones; 0
	// stands for all.
	Partial float64 `json:"partial_rotary_factor,omitempty"`
	// Kind is linear, dynamic, yarn, longrope or llama3; none is "".
	Kind string `json:"rope_type,omitempty"`
	// Factor is how much longer texts become. In longrope 0 stands for the ratio of
	// the model's positions to OriginalPositions.
	Factor float64 `json:"factor,omitempty"`
	// OriginalPositions is the length of the texts of pretraining.
	OriginalPositions int `json:"original_max_position_embeddings,omitempty"`
	// AttentionFactor multiplies sines and cosines in yarn and longrope; 0 stands for
	// what their papers derive of the other numbers.
	AttentionFactor float64 `json:"attention_factor,omitempty"`
	// BetaFast and BetaSlow are the turns within OriginalPositions from which on, in
	// yarn, a frequency stays as it is, and below which it is divided by Factor; 0
	// stands for 32 and 1. NotTruncated does not round the edges to whole elements.
	BetaFast     float64 `json:"beta_fast,omitempty"`
	BetaSlow     float64 `json:"beta_slow,omitempty"`
	MScale       float64 `json:"mscale,omitempty"`
	MScaleAllDim float64 `json:"mscale_all_dim,omitempty"`
	NotTruncated bool    `json:"-"`
	// ShortFactors and LongFactors divide each frequency in longrope: the long ones in
	// texts of more than OriginalPositions tokens.
	ShortFactors []float64 `json:"short_factor,omitempty"`
	LongFactors  []float64 `json:"long_factor,omitempty"`
	// LowFrequency and HighFrequency are the turns within OriginalPositions between
	// which llama3 goes over from divided frequencies to those that stay.
	LowFrequency  float64 `json:"low_freq_factor,omitempty"`
	HighFrequency float64 `json:"high_freq_factor,omitempty"`
	// Interleaved turns neighbouring elements of a head, as in GLM.
	Interleaved bool `json:"-"`
}

// ropeKinds lists the keys that each kind has beside rope_theta, rope_type and
// partial_rotary_factor; those before the bar are required.
var ropeKinds = map[string]string{
	"default":  "|",
	"linear":   "factor|",
	"dynamic":  "factor|original_max_position_embeddings",
	"yarn":     "factor|original_max_position_embeddings attention_factor beta_fast beta_slow mscale mscale_all_dim truncate",
	"longrope": "short_factor long_factor|factor original_max_position_embeddings attention_factor",
	"llama3":   "factor low_freq_factor high_freq_factor|original_max_position_embeddings",
}

// olderKinds are names that older files have for a kind.
var olderKinds = map[string]string{"su": "longrope"}

// ropeKeys are the keys of a config.json that describe rotary embeddings, as
// transformers 4 (rope_theta and rope_scaling) and 5 (rope_parameters) spell them.
type ropeKeys struct {
	Theta      *float64        `json:"rope_theta,omitempty"`
	Scaling    json.RawMessage `json:"rope_scaling,omitempty"`
	Parameters json.RawMessage `json:"rope_parameters,omitempty"`
	Partial    *float64        `json:"partial_rotary_factor,omitempty"`
	Original   *int            `json:"original_max_position_embeddings,omitempty"`
}

// read puts the keys together. As in transformers rope_scaling goes before
// rope_parameters, and what is in either goes before the keys beside them, but for the
// original positions.
func (k ropeKeys) read(positions int) (Rope, error) {
	r, err := readRope("rope_parameters", k.Parameters)
	if given(k.Scaling) && err == nil {
		r, err = readRope("rope_scaling", k.Scaling)
	}
	if err != nil {
		return r, err
	}
	if r.Theta == 0 && k.Theta != nil {
		r.Theta = *k.Theta
	}
	if r.Partial == 0 && k.Partial != nil {
		r.Partial = *k.Partial
	}
	return r.complete(k.Original, positions), nil
}

// complete fills in what follows from the keys around.
func (r Rope) complete(original *int, positions int) Rope {
	if r.Theta == 0 {
		r.Theta = 10000
	}
	if r.Partial == 1 {
		r.Partial = 0
	}
	switch r.Kind {
	case "yarn", "longrope", "llama3":
		if original != nil {
			r.OriginalPositions = *original
		}
		if r.OriginalPositions == 0 {
			r.OriginalPositions = positions
		}
	default:
		r.OriginalPositions = 0 // dynamic takes the model's positions, whatever is written
	}
	return r
}

// given reports a key that is there and not null or empty.
func given(raw json.RawMessage) bool {
	text := strings.TrimSpace(string(raw))
	return text != "" && text != "null" && text != "{}"
}

// readRope reads the object under a key; without one nothing is scaled.
func readRope(key string, raw json.RawMessage) (Rope, error) {
	var r Rope
	if !given(raw) {
		return r, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return r, fmt.Errorf("key %q: %w", key, err)
	}
	maps.DeleteFunc(keys, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	kind, err := ropeKind(key, keys)
	if err != nil {
		return r, err
	}
	required, optional, _ := strings.Cut(ropeKinds[kind], "|")
	for _, name := range strings.Fields(required) {
		if keys[name] == nil {
			return r, fmt.Errorf("key \"%s.%s\" is missing, which rope_type %q needs", key, name, kind)
		}
	}
	known := append(strings.Fields(required+" "+optional), "rope_theta", "partial_rotary_factor")
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(known, name) {
			return r, fmt.Errorf("key \"%s.%s\" is %s, which would change the model and is not supported for rope_type %q", key, name, keys[name], kind)
		}
		one, err := json.Marshal(map[string]json.RawMessage{name: keys[name]})
		if err == nil {
			err = json.Unmarshal(one, &r)
		}
		if err == nil && name == "truncate" {
			truncate := true
			err = json.Unmarshal(keys[name], &truncate)
			r.NotTruncated = !truncate
		}
		if err != nil {
			return r, fmt.Errorf("key \"%s.%s\": %w", key, name, err)
		}
	}
	if r.Kind = kind; kind == "default" {
		r.Kind = ""
	}
	return r, nil
}

// ropeKind takes the kind out of the keys, under today's name or an older one.
func ropeKind(key string, keys map[string]json.RawMessage) (string, error) {
	kind := "default"
	for _, name := range []string{"type", "rope_type"} {
		if keys[name] == nil {
			continue
		}
		if err := json.Unmarshal(keys[name], &kind); err != nil {
			return "", fmt.Errorf("key \"%s.%s\": %w", key, name, err)
		}
		delete(keys, name)
	}
	if newer := olderKinds[kind]; newer != "" {
		kind = newer
	}
	if _, ok := ropeKinds[kind]; !ok {
		return "", fmt.Errorf("key \"%s.rope_type\" is %q, which is not supported (supported: %s)", key, kind, strings.Join(slices.Sorted(maps.Keys(ropeKinds)), ", "))
	}
	return kind, nil
}

// keys writes the rotary embeddings in the spelling of transformers 4, which version 5
// and other readers understand too.
func (r Rope) keys() (ropeKeys, error) {
	k := ropeKeys{Theta: &r.Theta}
	if r.Partial != 0 {
		k.Partial = &r.Partial
	}
	if r.Kind == "" {
		return k, nil
	}
	scaling := r
	scaling.Theta, scaling.Partial = 0, 0
	raw, err := json.Marshal(struct {
		Rope
		Truncate *bool `json:"truncate,omitempty"`
	}{scaling, truncateKey(r.NotTruncated)})
	k.Scaling = raw
	return k, err
}

// truncateKey is nil where the key need not be written.
func truncateKey(not bool) *bool {
	if !not {
		return nil
	}
	return new(bool)
}

// validate checks the numbers, for heads of a width.
func (r Rope) validate(head int) error {
	turned := r.turned(head)
	switch {
	case !(r.Theta > 0):
		return fmt.Errorf("rope_theta %g must be positive", r.Theta)
	case !(r.Partial >= 0 && r.Partial <= 1):
		return fmt.Errorf("partial_rotary_factor is %g; it must be more than 0 and at most 1", r.Partial)
	case turned < 2 || turned%2 != 0:
		return fmt.Errorf("head_dim is %d, of which %d elements are turned; rotary embeddings need an even width", head, turned)
	case r.Kind == "":
		return nil
	case r.Factor < 0 || r.Kind != "longrope" && !(r.Factor > 0):
		return fmt.Errorf("rope_type %q: factor is %g; it must be more than 0", r.Kind, r.Factor)
	case r.Kind != "linear" && r.Kind != "dynamic" && (r.OriginalPositions < 2 || r.OriginalPositions > mostPositions):
		return fmt.Errorf("rope_type %q: original_max_position_embeddings is %d; it must be between 2 and %d", r.Kind, r.OriginalPositions, mostPositions)
	case r.AttentionFactor < 0 || r.BetaFast < 0 || r.BetaSlow < 0 || r.MScale < 0 || r.MScaleAllDim < 0:
		return fmt.Errorf("rope_type %q: attention_factor, beta_fast, beta_slow, mscale and mscale_all_dim must not be negative", r.Kind)
	case r.Kind == "yarn" && r.Theta == 1:
		return fmt.Errorf("rope_type %q cannot scale a rope_theta of 1", r.Kind)
	case r.Kind == "llama3" && !(r.LowFrequency > 0 && r.HighFrequency > r.LowFrequency):
		return fmt.Errorf("rope_type %q: low_freq_factor %g must be more than 0 and less than high_freq_factor %g", r.Kind, r.LowFrequency, r.HighFrequency)
	case r.Kind == "longrope":
		for key, factors := range map[string][]float64{"short_factor": r.ShortFactors, "long_factor": r.LongFactors} {
			if len(factors) != turned/2 || slices.ContainsFunc(factors, func(f float64) bool { return !(f > 0) }) {
				return fmt.Errorf("rope_type %q: %s must have %d numbers, each more than 0", r.Kind, key, turned/2)
			}
		}
	}
	return nil
}

// turned is the number of elements of a head that are turned.
func (r Rope) turned(head int) int {
	if r.Partial == 0 {
		return head
	}
	return int(float64(head) * r.Partial)
}

// frequencies returns the sets of frequencies for heads of a width, and what sines and
// cosines are multiplied by. Only longrope has a second set, for texts of more than
// OriginalPositions tokens. positions are the model's.
//
// linear divides all frequencies by Factor (Chen et al. 2023, arXiv:2306.15595). dynamic
// changes none up to the model's positions, which no text here exceeds. yarn divides the
// low ones and leaves the high ones (Peng et al. 2023, arXiv:2309.00071), as llama3 does
// with other edges (Llama 3.1, as in transformers). longrope divides each by a number of
// its own (Ding et al. 2024, arXiv:2402.13753).
func (r Rope) frequencies(head, positions int) (sets [][]float64, factor float64) {
	plain := make([]float64, r.turned(head)/2)
	for i := range plain {
		plain[i] = math.Pow(r.Theta, -2*float64(i)/float64(2*len(plain)))
	}
	scaled := func(scale func(i int) float64) []float64 {
		f := slices.Clone(plain)
		for i := range f {
			f[i] *= scale(i)
		}
		return f
	}
	switch r.Kind {
	case "linear":
		return [][]float64{scaled(func(int) float64 { return 1 / r.Factor })}, 1
	case "yarn":
		return [][]float64{scaled(r.yarn(2 * len(plain)))}, r.yarnFactor()
	case "llama3":
		return [][]float64{scaled(func(i int) float64 { return r.llama3(plain[i]) })}, 1
	case "longrope":
		short := scaled(func(i int) float64 { return 1 / r.ShortFactors[i] })
		long := scaled(func(i int) float64 { return 1 / r.LongFactors[i] })
		return [][]float64{short, long}, r.longFactor(positions)
	}
	return [][]float64{plain}, 1
}

// yarn returns the share of frequency i, of turned/2, that is left.
func (r Rope) yarn(turned int) func(i int) float64 {
	fast, slow := orElse(r.BetaFast, 32), orElse(r.BetaSlow, 1)
	// edge is the element whose frequency makes so many turns.
	edge := func(turns float64) float64 {
		return float64(turned) * math.Log(float64(r.OriginalPositions)/(turns*2*math.Pi)) / (2 * math.Log(r.Theta))
	}
	low, high := edge(fast), edge(slow)
	if !r.NotTruncated {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(turned-1))
	if low == high {
		high += 0.001
	}
	return func(i int) float64 {
		divided := min(max((float64(i)-low)/(high-low), 0), 1)
		return divided/r.Factor + (1 - divided)
	}
}

func (r Rope) yarnFactor() float64 {
	size := func(scale float64) float64 {
		if r.Factor <= 1 {
			return 1
		}
		return 0.1*scale*math.Log(r.Factor) + 1
	}
	switch {
	case r.AttentionFactor != 0:
		return r.AttentionFactor
	case r.MScale != 0 && r.MScaleAllDim != 0:
		return size(r.MScale) / size(r.MScaleAllDim)
	}
	return size(1)
}

// llama3 returns the share of a frequency that is left.
func (r Rope) llama3(frequency float64) float64 {
	turns := float64(r.OriginalPositions) * frequency / (2 * math.Pi)
	stays := min(max((turns-r.LowFrequency)/(r.HighFrequency-r.LowFrequency), 0), 1)
	return (1-stays)/r.Factor + stays
}

func (r Rope) longFactor(positions int) float64 {
	factor := orElse(r.Factor, float64(positions)/float64(r.OriginalPositions))
	switch {
	case r.AttentionFactor != 0:
		return r.AttentionFactor
	case factor <= 1:
		return 1
	}
	return math.Sqrt(1 + math.Log(factor)/math.Log(float64(r.OriginalPositions)))
}

func orElse(v, other float64) float64 {
	if v == 0 {
		return other
	}
	return v
}

// switchesAt is the length from which on, exclusive, texts are turned by the second set
// of frequencies; 0 if there is none.
func (r Rope) switchesAt() int {
	if r.Kind != "longrope" {
		return 0
	}
	return r.OriginalPositions
}

// ropeTables are the tables of a model's rotary embeddings, which all its graphs share.
type ropeTables struct {
	mu     sync.Mutex
	tables map[string]*op.RoPETable
}

// table returns the table of r, made at the first call.
func (t *ropeTables) table(r Rope, head, positions int) (*op.RoPETable, error) {
	key := fmt.Sprint(r)
	t.mu.Lock()
	defer t.mu.Unlock()
	if table := t.tables[key]; table != nil {
		return table, nil
	}
	sets, factor := r.frequencies(head, positions)
	table, err := op.NewRoPETable(positions, head, factor, sets...)
	if err == nil {
		table.Interleaved = r.Interleaved
		t.tables[key] = table
	}
	return table, err
}
