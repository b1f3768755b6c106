package optim

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A Group gives parameters settings of their own, like a parameter group of
// torch.optim.
type Group struct {
	Pattern     string   // Go regular expression, searched for anywhere in the name of a parameter
	RateScale   *float64 // factor of the learning rate, at least 0; nil is 1
	WeightDecay *float64 // in place of the common one, still of matrices alone; nil is the common one
}

// A Scale is a rule that gives parameters a factor of the learning rate.
type Scale struct {
	Name string // for error messages
	// Of returns the factor of a parameter; ok is false where the rule does not
	// speak of the parameter, whose factor is then 1.
	Of func(parameter string) (factor float64, ok bool)
}

// LoRAPlus trains the B of every adapted layer at ratio times the rate of its A
// (Hayou et al., LoRA+, 2024, arXiv:2402.12354, who suggest 16), as
// create_loraplus_optimizer of PEFT does.
func LoRAPlus(ratio float64) Scale {
	return Scale{"loraplus_lr_ratio", func(name string) (float64, bool) {
		switch {
		case strings.Contains(name, "lora_B"):
			return ratio, true
		case strings.Contains(name, "lora_A"):
			return 1, true
		}
		return 1, false
	}}
}

// LayerDecay lowers the rate by a factor from each layer to the one below it:
// layer l of L trains at decay^(L−1−l) times the rate, the embeddings, which count
// as layer −1, at decay^L, and what belongs to no layer, the last norm and the
// head, at the full rate. The function says which layer a parameter belongs to.
//
// Differs from ELECTRA (Clark et al., 2020), whose pooler lies one layer further up, so
// that the last layer trains at decay² there.
func LayerDecay(decay float64, layers int, of func(parameter string) (layer int, ok bool)) Scale {
	return Scale{"layer_decay", func(name string) (float64, bool) {
		layer, ok := of(name)
		if !ok {
			return 1, false
		}
		return math.Pow(decay, float64(layers-1-layer)), true
	}}
}

// Layer finds the layer of a parameter in its Hugging Face name: the first part
// between dots that is a number, -1 for embeddings (embed_tokens, wte, wpe), and
// false where there is neither. Embeddings tied to the head are embeddings.
func Layer(name string) (layer int, ok bool) {
	for part := range strings.SplitSeq(name, ".") {
		if n, err := strconv.Atoi(part); err == nil && n >= 0 {
			return n, true
		}
		switch part {
		case "embed_tokens", "wte", "wpe":
			return -1, true
		}
	}
	return 0, false
}

// A Setting is what the groups and scales of a Config come to for one parameter.
type Setting struct {
	Name        string
	Group       int     // index of its group, -1 if none matches
	RateScale   float64 // factor of the learning rate
	WeightDecay float64 // 0 for tensors of one dimension
}

// Settings returns what New would give each parameter, in order of name. The
// parameters need no values: names and shapes are enough.
func Settings(params []Parameter, c Config) ([]Setting, error) {
	params, err := sorted(params)
	if err != nil {
		return nil, err
	}
	return settle(params, c)
}

// settle works out the settings of each parameter. A group that has no parameter,
// and a scale that speaks of none, is a mistake of whoever wrote it.
func settle(params []Parameter, c Config) ([]Setting, error) {
	patterns, err := compile(c.Groups)
	if err != nil {
		return nil, err
	}
	all := make([]Setting, len(params))
	matched, taken := make([]bool, len(c.Groups)), make([]bool, len(c.Groups))
	for i, p := range params {
		s := Setting{Name: p.Name, Group: -1, RateScale: 1, WeightDecay: c.WeightDecay}
		for g, pattern := range patterns {
			if !pattern.MatchString(p.Name) {
				continue
			}
			if matched[g] = true; s.Group < 0 {
				s.Group, taken[g] = g, true
			}
		}
		if s.Group >= 0 {
			g := c.Groups[s.Group]
			if g.RateScale != nil {
				s.RateScale = *g.RateScale
			}
			if g.WeightDecay != nil {
				s.WeightDecay = *g.WeightDecay
			}
		}
		if !p.decays() {
			s.WeightDecay = 0
		}
		all[i] = s
	}
	for g := range c.Groups {
		switch {
		case !matched[g]:
			return nil, fmt.Errorf("group %q matches no parameter that is trained (they are called like %s)", c.Groups[g].Pattern, params[0].Name)
		case !taken[g]:
			return nil, fmt.Errorf("group %q is left without a parameter: all that it matches belong to groups before it", c.Groups[g].Pattern)
		}
	}
	for _, scale := range c.Scales {
		if err := scale.apply(all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func compile(groups []Group) ([]*regexp.Regexp, error) {
	patterns := make([]*regexp.Regexp, len(groups))
	for i, g := range groups {
		var err error
		switch {
		case g.Pattern == "":
			return nil, fmt.Errorf("group %d has no pattern", i+1)
		case g.RateScale != nil && (!(*g.RateScale >= 0) || math.IsInf(*g.RateScale, 1)):
			return nil, fmt.Errorf("group %q: factor %v of the learning rate: it must be a number that is not negative", g.Pattern, *g.RateScale)
		case g.WeightDecay != nil && (!(*g.WeightDecay >= 0) || math.IsInf(*g.WeightDecay, 1)):
			return nil, fmt.Errorf("group %q: weight decay %v: it must be a number that is not negative", g.Pattern, *g.WeightDecay)
		}
		if patterns[i], err = regexp.Compile(g.Pattern); err != nil {
			return nil, fmt.Errorf("group %q: %w", g.Pattern, err)
		}
	}
	return patterns, nil
}

// apply multiplies the rate of each parameter that the rule speaks of.
func (s Scale) apply(settings []Setting) error {
	spoken := false
	for i := range settings {
		p := &settings[i]
		f, ok := s.Of(p.Name)
		if !ok {
			continue
		}
		spoken = true
		p.RateScale *= f
		if !(f >= 0) || math.IsInf(p.RateScale, 1) {
			return fmt.Errorf("%s makes the factor of the learning rate of %s %v: it must be a number that is not negative", s.Name, p.Name, f)
		}
	}
	if !spoken {
		return fmt.Errorf("%s has no effect: no parameter that is trained, such as %s, is of its kind", s.Name, settings[0].Name)
	}
	return nil
}
