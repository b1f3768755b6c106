package lora

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Config says which layers are adapted, and how. Each field is a key of PEFT's
// adapter_config.json (the tag json), a key of recipes (yaml) and a flag of the
// commands in the tag "of".
type Config struct {
	Rank  int     `json:"r" yaml:"lora_rank" of:"train,lr" help:"rank of the adapter" default:"8" range:"1,1048576"`
	Alpha float64 `json:"lora_alpha" yaml:"lora_alpha" of:"train,lr" help:"alpha of the adapter; its update is multiplied by alpha/rank" default:"16"`
	// RSLoRA multiplies the update by alpha/√rank in place of alpha/rank, which
	// keeps its size as the rank grows.
	RSLoRA  bool    `json:"use_rslora" yaml:"use_rslora" of:"train,lr" help:"multiply the adapter's update by alpha/√rank in place of alpha/rank (rsLoRA)"`
	Dropout float64 `json:"lora_dropout" yaml:"lora_dropout" of:"train,lr" help:"dropout before the adapter" default:"0" range:"0,0.999999999999"`
	// Targets are module names; a layer is adapted if its name is one of them
	// or ends in a dot and one of them. AllLinear alone is all of them. One
	// alone that holds one of \^$*+?()[]{}| is a regular expression, which the whole
	// name has to match; all this as in PEFT, whose files hold it as a text then.
	Targets []string `json:"target_modules" yaml:"lora_targets" of:"train,lr" help:"layers that are adapted, all-linear for all, or one regular expression for whole names; left at the default, a GPT-2 has c_attn,c_fc,c_proj" default:"q_proj,k_proj,v_proj,up_proj,down_proj"`
	// Exclude are modules that are not adapted, in the form of Targets.
	Exclude []string `json:"exclude_modules" yaml:"exclude_modules,omitempty" of:"train,lr" help:"layers that are not adapted even if they are targets, in the form of lora_targets"`
	// Layers are the indices of the blocks that are adapted, from 0; nil is all.
	// As in PEFT, a target that is the whole name of a layer is adapted anyway.
	Layers []int `json:"layers_to_transform" yaml:"layers_to_transform,omitempty" of:"train,lr" help:"indices of the blocks that are adapted, from 0; all without it"`
	// LayersPattern are the names, or regular expressions, of the lists that Layers counts
	// in, such as layers or h. Without one it is the first number in a module's name.
	LayersPattern []string `json:"layers_pattern" yaml:"layers_pattern,omitempty" of:"train,lr" help:"name of the list that layers_to_transform counts in, where it is not the first number in a module's name"`
	// RankPattern and AlphaPattern give layers a rank and an alpha of their own. The keys
	// are regular expressions which the name of a layer, or what follows a dot in it, has to
	// match to its end. The first in the order of the keys counts, which is the order in
	// PEFT's files.
	RankPattern  map[string]int     `json:"rank_pattern" yaml:"rank_pattern,omitempty" of:"train,lr" help:"ranks of layers that have one of their own, as down_proj=4"`
	AlphaPattern map[string]float64 `json:"alpha_pattern" yaml:"alpha_pattern,omitempty" of:"train,lr" help:"alphas of layers that have one of their own, as down_proj=8"`
	// DoRA trains the length of each row of an adapted weight beside its direction.
	DoRA bool `json:"use_dora" yaml:"use_dora,omitempty" of:"train,lr" help:"train the length of each row of the adapted weights apart from its direction (DoRA)"`
	// Init is how the matrices begin; see Inits. Empty is true.
	Init string `json:"init_lora_weights" yaml:"init_lora_weights,omitempty" of:"train,lr" help:"how the adapter begins: true (A uniform, B 0), gaussian, pissa, pissa_niter_N, olora, or false (both uniform)"`
	// ModulesToSave are modules that are trained whole beside the adapter, with all that
	// is in them: those whose names end in one of these.
	ModulesToSave []string `json:"modules_to_save" yaml:"modules_to_save,omitempty" of:"train,lr" help:"modules whose own weights are trained beside the adapter, such as lm_head"`
	// EnsureTied keeps embedding and head one matrix where ModulesToSave names one of
	// the two and they are tied. Without it they are two from then on.
	EnsureTied bool `json:"ensure_weight_tying" yaml:"ensure_weight_tying,omitempty" of:"train,lr" help:"keep embedding and head the same where modules_to_save names one of them"`
	// Bias is which biases of the model are trained beside the adapter: none (or empty),
	// all, or lora_only for those of adapted layers.
	Bias string `json:"bias" yaml:"bias,omitempty" of:"train,lr" help:"biases of the model that are trained beside the adapter: none, all, or lora_only for those of adapted layers"`
}

// Inits are the ways to begin an adapter. PiSSA (Meng et al. 2024, arXiv:2404.02948)
// and OLoRA (Büyükakyüz 2024, arXiv:2406.01775) take the adapter's first values out
// of the base, which is left with the rest; pissa_niter_N finds the singular vectors by N
// rounds of subspace iteration.
var Inits = []string{"true", "false", "gaussian", "pissa", "pissa_niter_N", "olora"}

// Biases are the values of Config.Bias.
var Biases = []string{"none", "all", "lora_only"}

// Validate checks what can be checked without a model.
func (c Config) Validate() error {
	switch {
	case c.Rank < 1:
		return fmt.Errorf("lora rank is %d; it must be at least 1", c.Rank)
	case !(c.Alpha > 0) || math.IsInf(c.Alpha, 0):
		return fmt.Errorf("lora alpha is %g; it must be above 0", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("lora dropout is %g; it must be at least 0 and below 1", c.Dropout)
	case len(c.Targets) == 0:
		return fmt.Errorf("no lora targets; the default is %s", strings.Join(DefaultTargets, ","))
	case c.Bias != "" && !slices.Contains(Biases, c.Bias):
		return fmt.Errorf("bias is %q, which is not supported (supported: %s)", c.Bias, strings.Join(Biases, ", "))
	case len(c.LayersPattern) > 0 && len(c.Layers) == 0:
		return fmt.Errorf("layers_pattern is %s, but there is no layers_to_transform that it would say the place of", strings.Join(c.LayersPattern, ", "))
	}
	if _, _, err := c.init(); err != nil {
		return err
	}
	for _, layer := range c.Layers {
		if layer < 0 {
			return fmt.Errorf("lora layer %d: layers count from 0", layer)
		}
	}
	for key, rank := range c.RankPattern {
		if rank < 1 {
			return fmt.Errorf("rank_pattern: the rank of %q is %d; it must be at least 1", key, rank)
		}
	}
	for key, alpha := range c.AlphaPattern {
		if !(alpha > 0) || math.IsInf(alpha, 0) {
			return fmt.Errorf("alpha_pattern: the alpha of %q is %g; it must be above 0", key, alpha)
		}
	}
	_, err := c.compile()
	return err
}

// init returns the kind of initialisation, and the rounds of pissa_niter_N.
func (c Config) init() (kind string, rounds int, err error) {
	if text, ok := strings.CutPrefix(c.Init, "pissa_niter_"); ok {
		if rounds, err = strconv.Atoi(text); err == nil && rounds >= 0 && rounds <= 1000 {
			return "pissa_niter", rounds, nil
		}
		return "", 0, fmt.Errorf("init_lora_weights is %q; it must end in a number of rounds, as pissa_niter_4", c.Init)
	}
	if c.Init == "" {
		return "true", 0, nil
	}
	if !slices.Contains(Inits, c.Init) {
		return "", 0, fmt.Errorf("init_lora_weights is %q, which is not supported (supported: %s)", c.Init, strings.Join(Inits, ", "))
	}
	return c.Init, 0, nil
}

// ChangesBase reports whether the adapter begins with a part of the base's weights,
// which are left with the rest.
func (c Config) ChangesBase() bool {
	kind, _, _ := c.init()
	return kind == "pissa" || kind == "pissa_niter" || kind == "olora"
}

// SameShape reports whether two adapters can go on from each other: whether they differ in
// nothing but dropout.
func (c Config) SameShape(other Config) bool {
	c.Dropout, other.Dropout = 0, 0
	return reflect.DeepEqual(c, other)
}

// Method is the name of the kind of adapter.
func (c Config) Method() string {
	switch kind, _, _ := c.init(); {
	case c.DoRA:
		return "DoRA"
	case kind == "olora":
		return "OLoRA"
	case c.ChangesBase():
		return "PiSSA"
	case c.RSLoRA:
		return "rsLoRA"
	}
	return "LoRA"
}

// scale is what an update of a rank and an alpha is multiplied by.
func (c Config) scale(rank int, alpha float64) float64 {
	if c.RSLoRA {
		return alpha / math.Sqrt(float64(rank))
	}
	return alpha / float64(rank)
}
