package prompt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/internal/kernel"
	"gotune/model"
)

// The names of PEFT's files, and the one key of its tensors.
const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
	tableKey    = "prompt_embeddings"
)

// peftConfig has the keys that both kinds have in PEFT's files, and those of one kind.
type peftConfig struct {
	BaseModel     string `json:"base_model_name_or_path"`
	InferenceMode bool   `json:"inference_mode"`
	Heads         int    `json:"num_attention_heads"`
	Layers        int    `json:"num_layers"`
	Submodules    int    `json:"num_transformer_submodules"`
	Virtual       int    `json:"num_virtual_tokens"`
	Type          string `json:"peft_type"`
	TaskType      string `json:"task_type"`
	TokenDim      int    `json:"token_dim"`

	Init       string  `json:"prompt_tuning_init,omitempty"`
	InitText   *string `json:"prompt_tuning_init_text,omitempty"`
	Tokenizer  string  `json:"tokenizer_name_or_path,omitempty"`
	Hidden     int     `json:"encoder_hidden_size,omitempty"`
	Projection *bool   `json:"prefix_projection,omitempty"`
}

// Save writes adapter_config.json and adapter_model.safetensors (float32) to a folder,
// which is made if need be. The name of the base is recorded as PEFT does. What a projection
// makes is written, not the projection itself, as in PEFT: training goes on with it from
// what [Adapter.Checkpoint] writes alone.
func (ad *Adapter) Save(dir, base string) error {
	if err := ad.save(dir, base); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	return nil
}

func (ad *Adapter) save(dir, base string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	c := peftConfig{
		BaseModel: base, InferenceMode: true, Layers: ad.shape.layers, Submodules: 1, Virtual: ad.Config.VirtualTokens,
		Type: ad.Config.Type, TaskType: "CAUSAL_LM",
	}
	if ad.Config.Type == PromptTuning {
		c.Heads, c.TokenDim, c.Init = ad.shape.queries, ad.shape.hidden, ad.Config.Init
		if c.Init == Text {
			c.InitText, c.Tokenizer = &ad.Config.InitText, base
		}
	} else {
		c.Heads, c.TokenDim = ad.shape.heads, ad.shape.kv
		c.Hidden, c.Projection = ad.Config.EncoderHiddenSize, &ad.Config.Projection
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	table := hf.Tensor{Shape: []int{ad.Config.VirtualTokens, ad.shape.width(ad.Config.Type)}, Data: ad.values()}
	if err := hf.WriteFile(filepath.Join(dir, weightsFile), map[string]hf.Tensor{tableKey: table}, hf.F32); err != nil {
		return err
	}
	return disk.WriteBytes(filepath.Join(dir, configFile), append(raw, '\n'))
}

// values returns the table, with the bits that a graph computes.
func (ad *Adapter) values() []float32 {
	if !ad.Config.Projection {
		return ad.table.Value
	}
	hidden := linear(ad.table.Value, ad.project[0], ad.project[1])
	for i, v := range hidden {
		hidden[i] = float32(math.Tanh(float64(v)))
	}
	return linear(hidden, ad.project[2], ad.project[3])
}

// linear is x·Wᵀ + bias, summed as op.Linear does it: from the bias on.
func linear(x []float32, w, bias model.Parameter) []float32 {
	out, in := w.Shape[0], w.Shape[1]
	n := len(x) / in
	y := slices.Repeat(bias.Value, n)
	kernel.MatMulNT(nil, kernel.Matrix{Data: y, Rows: n, Cols: out, Stride: out}, kernel.Matrix{Data: x, Rows: n, Cols: in, Stride: in},
		kernel.Matrix{Data: w.Value, Rows: out, Cols: in, Stride: in}, true)
	return y
}

// Load reads virtual tokens in PEFT's files for a model. The name is for messages. Of a
// projection the files have the table that it made, which is what is loaded. An option that
// would change the adapter and is not supported, a key that matches nothing, and a base of
// another shape are errors.
func Load(src fs.FS, name string, m *model.Model) (*Adapter, error) {
	ad, err := load(src, m)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", name, err)
	}
	return ad, nil
}

func load(src fs.FS, m *model.Model) (*Adapter, error) {
	f, err := parse(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	c := f.config()
	c.Projection, c.Init, c.InitText = false, "", ""
	ad, err := empty(c, m, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	ad.Config.Init, ad.Config.InitText = f.Init, f.config().InitText
	if err := f.fits(ad.shape); err != nil {
		return nil, fmt.Errorf("%s does not fit the model: %w", configFile, err)
	}
	if err := fill(src, weightsFile, map[string]model.Parameter{tableKey: ad.table}); err != nil {
		return nil, err
	}
	return ad, nil
}

// fill copies the tensors of a file into parameters by their keys, or none of them.
func fill(src fs.FS, file string, parameters map[string]model.Parameter) error {
	tensors, err := read(src, file, parameters)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(tensors)) {
		t := tensors[key]
		if v, bad := t.NotFinite(); bad {
			return fmt.Errorf("tensor %s holds %g: the adapter is damaged, or its training diverged", key, v)
		}
	}
	for key, t := range tensors {
		copy(parameters[key].Value, t.Data)
	}
	return nil
}

// read reads the tensors of a file, which must be those of parameters by their keys.
func read(src fs.FS, file string, parameters map[string]model.Parameter) (map[string]hf.Tensor, error) {
	if _, err := fs.Stat(src, file); err != nil {
		return nil, fmt.Errorf("the folder has no %s: %w", file, err)
	}
	tensors, err := hf.ReadFS(src, file, file)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(parameters)) {
		t, ok := tensors[key]
		switch {
		case !ok:
			return nil, fmt.Errorf("%s has no tensor %s", file, key)
		case !slices.Equal(t.Shape, parameters[key].Shape):
			return nil, fmt.Errorf("tensor %s has shape %v, its config and the model ask for %v: it was made for another base, or its config was changed", key, t.Shape, parameters[key].Shape)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(tensors)) {
		if _, ok := parameters[key]; !ok {
			return nil, fmt.Errorf("%s has %d tensors that match nothing in the model, the first is %s", file, len(tensors)-len(parameters), key)
		}
	}
	return tensors, nil
}

// trainedFile holds what is trained, under its own names, which is not what PEFT's file has
// where a projection makes that.
const trainedFile = "prompt_encoder.safetensors"

// Checkpoint is Save with all that Restore needs: of a projection also the projection.
func (ad *Adapter) Checkpoint(dir, base string) error {
	if err := ad.Save(dir, base); err != nil || !ad.Config.Projection {
		return err
	}
	tensors := make(map[string]hf.Tensor)
	for _, p := range ad.Parameters() {
		tensors[p.Name] = hf.Tensor{Shape: p.Shape, Data: p.Value}
	}
	if err := hf.WriteFile(filepath.Join(dir, trainedFile), tensors, hf.F32); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	return nil
}

// Restore reads what is trained from what Checkpoint wrote of this adapter or of one like it.
// The name is for messages.
func (ad *Adapter) Restore(src fs.FS, name string) error {
	file, parameters := weightsFile, map[string]model.Parameter{tableKey: ad.table}
	if ad.Config.Projection {
		file, parameters = trainedFile, make(map[string]model.Parameter)
		for _, p := range ad.Parameters() {
			parameters[p.Name] = p
		}
	}
	if err := fill(src, file, parameters); err != nil {
		return fmt.Errorf("adapter %s: %w", name, err)
	}
	return nil
}

// ReadConfig reads what Load makes an adapter from, without its weights. The name is for
// messages.
func ReadConfig(src fs.FS, name string) (Config, error) {
	f, err := parse(src)
	if err != nil {
		return Config{}, fmt.Errorf("adapter %s: %s: %w", name, configFile, err)
	}
	return f.config(), nil
}

// Type returns peft_type of an adapter's adapter_config.json. The name is for messages.
func Type(src fs.FS, name string) (string, error) {
	var f struct {
		Type string `json:"peft_type"`
	}
	raw, err := fs.ReadFile(src, configFile)
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		return "", fmt.Errorf("adapter %s: %s: %w", name, configFile, err)
	}
	return f.Type, nil
}

func (f peftConfig) config() Config {
	c := Config{Type: f.Type, VirtualTokens: f.Virtual, Init: f.Init, EncoderHiddenSize: f.Hidden}
	if f.InitText != nil {
		c.InitText = *f.InitText
	}
	if f.Projection != nil {
		c.Projection = *f.Projection
	}
	return c
}

// fits compares with a model. PEFT counts key heads for prefixes; for prompts heads are not
// looked at.
func (f peftConfig) fits(s shape) error {
	width, wide := s.hidden, "hidden_size"
	if f.Type == PrefixTuning {
		width, wide = s.kv, "num_key_value_heads · head_dim"
	}
	switch {
	case f.TokenDim != width:
		return fmt.Errorf("token_dim is %d, but the model's %s is %d", f.TokenDim, wide, width)
	case f.Type == PrefixTuning && f.Layers != s.layers:
		return fmt.Errorf("num_layers is %d, but the model has %d", f.Layers, s.layers)
	case f.Type == PrefixTuning && f.Heads != s.heads:
		return fmt.Errorf("num_attention_heads is %d, but the model has %d heads of keys", f.Heads, s.heads)
	}
	return nil
}

// inert are keys that do not change the adapter, beside those of peftConfig.
var inert = map[string]bool{
	"auto_mapping": true, "peft_version": true, "revision": true, "tokenizer_kwargs": true, "init_weights": true,
}

func parse(src fs.FS) (f peftConfig, err error) {
	raw, err := fs.ReadFile(src, configFile)
	if err != nil {
		return f, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return f, fmt.Errorf("not a JSON object: %w", err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, err
	}
	known, _ := json.Marshal(peftConfig{Init: Text, InitText: new(string), Tokenizer: "x", Hidden: 1, Projection: new(bool)})
	var ours map[string]json.RawMessage
	if err := json.Unmarshal(known, &ours); err != nil {
		return f, err
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		var compact bytes.Buffer // without the line breaks that PEFT writes into lists
		if err := json.Compact(&compact, keys[key]); err != nil {
			return f, err
		}
		value := compact.String()
		if _, ok := ours[key]; !ok && !inert[key] && !off(value) {
			return f, fmt.Errorf("key %q: it is %s, which would change the adapter and is not supported", key, value)
		}
	}
	switch {
	case f.Type != PromptTuning && f.Type != PrefixTuning:
		return f, fmt.Errorf("key \"peft_type\": it is %q, which is not supported here (supported: %s, %s)", f.Type, PromptTuning, PrefixTuning)
	case f.Virtual < 1:
		return f, errors.New(`the key "num_virtual_tokens" is needed, and is at least 1`)
	case f.Submodules > 1:
		return f, fmt.Errorf("key \"num_transformer_submodules\": it is %d, which is not supported (supported: 1)", f.Submodules)
	case f.TaskType != "" && f.TaskType != "CAUSAL_LM":
		return f, fmt.Errorf("key \"task_type\": it is %q, which is not supported (supported: CAUSAL_LM)", f.TaskType)
	}
	return f, nil
}

// off reports values that switch an option off.
func off(value string) bool {
	return slices.Contains([]string{"null", "false", "{}", "[]", `""`, "0"}, value)
}
