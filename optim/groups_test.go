package optim_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gotune/optim"
)

// named returns parameters without values that are matrices, or vectors where the
// name says norm.
func named(names ...string) []optim.Parameter {
	var params []optim.Parameter
	for _, name := range names {
		shape := []int{1, 1}
		if strings.Contains(name, "norm") {
			shape = []int{1}
		}
		params = append(params, optim.Parameter{Name: name, Shape: shape})
	}
	return params
}

// small is a model of three layers, in order of name.
func small() []optim.Parameter {
	return named("lm_head.weight", "model.embed_tokens.weight",
		"model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight", "model.layers.2.input_layernorm.weight",
		"model.norm.weight")
}

func TestSettings(t *testing.T) {
	tests := []struct {
		name   string
		config optim.Config
		groups []int
		scales []float64
		decays []float64
	}{
		{"none", optim.Config{WeightDecay: .1},
			[]int{-1, -1, -1, -1, -1, -1}, []float64{1, 1, 1, 1, 1, 1}, []float64{.1, .1, .1, .1, 0, 0}},
		{"the first group wins", optim.Config{WeightDecay: .1, Groups: []optim.Group{
			{Pattern: `layers\.[01]\.`, RateScale: new(.5)},
			{Pattern: `layers`, WeightDecay: new(.7)},
			{Pattern: `^(lm_head|model\.embed)`, RateScale: new(0.), WeightDecay: new(0.)},
		}}, []int{2, 2, 0, 0, 1, -1}, []float64{0, 0, .5, .5, 1, 1}, []float64{0, 0, .1, .1, 0, 0}},
		{"decay by layers", optim.Config{Scales: []optim.Scale{optim.LayerDecay(.5, 3, optim.Layer)}},
			[]int{-1, -1, -1, -1, -1, -1}, []float64{1, .125, .25, .5, 1, 1}, make([]float64, 6)},
		{"groups and scales multiply", optim.Config{
			Groups: []optim.Group{{Pattern: `up_proj`, RateScale: new(3.)}},
			Scales: []optim.Scale{optim.LayerDecay(.5, 3, optim.Layer), optim.LayerDecay(.1, 2, optim.Layer)},
		}, []int{-1, -1, 0, 0, -1, -1}, []float64{1, .125 * .01, 3 * .25 * .1, 3 * .5, 10, 1}, make([]float64, 6)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := optim.Settings(small(), tt.config)
			if err != nil {
				t.Fatal(err)
			}
			var want []optim.Setting
			for i, p := range small() {
				want = append(want, optim.Setting{Name: p.Name, Group: tt.groups[i], RateScale: tt.scales[i], WeightDecay: tt.decays[i]})
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-15, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSettingsRefuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	group := func(g ...optim.Group) optim.Config { return optim.Config{Groups: g} }
	scale := func(s optim.Scale) optim.Config { return optim.Config{Scales: []optim.Scale{s}} }
	tests := []struct {
		config optim.Config
		want   string
	}{
		{group(optim.Group{}), "group 1 has no pattern"},
		{group(optim.Group{Pattern: "("}), `group "("`},
		{group(optim.Group{Pattern: "bias"}), `group "bias" matches no parameter that is trained (they are called like lm_head.weight)`},
		{group(optim.Group{Pattern: "."}, optim.Group{Pattern: "norm"}), `group "norm" is left without a parameter`},
		{group(optim.Group{Pattern: ".", RateScale: new(-1.)}), "factor -1 of the learning rate"},
		{group(optim.Group{Pattern: ".", RateScale: &nan}), "factor NaN"},
		{group(optim.Group{Pattern: ".", WeightDecay: &inf}), "weight decay +Inf"},
		{scale(optim.LoRAPlus(16)), "loraplus_lr_ratio has no effect"},
		{scale(optim.LayerDecay(-.5, 3, optim.Layer)), "layer_decay makes the factor of the learning rate of model.embed_tokens.weight -0.125"},
		{scale(optim.LayerDecay(nan, 3, optim.Layer)), "NaN"},
		{scale(optim.LayerDecay(0, 2, optim.Layer)), "+Inf"}, // a layer above the highest
	}
	for _, tt := range tests {
		if _, err := optim.Settings(small(), tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
	}
}

func TestLayer(t *testing.T) {
	tests := []struct {
		name  string
		layer int
		ok    bool
	}{
		{"model.layers.11.self_attn.q_proj.weight", 11, true},
		{"base_model.model.model.layers.0.mlp.up_proj.lora_B.weight", 0, true},
		{"transformer.h.3.attn.c_attn.weight", 3, true},
		{"h.3.ln_1.bias", 3, true},
		{"model.embed_tokens.weight", -1, true},
		{"transformer.wpe.weight", -1, true},
		{"model.norm.weight", 0, false},
		{"lm_head.weight", 0, false},
		{"a.-1.b", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		if layer, ok := optim.Layer(tt.name); layer != tt.layer || ok != tt.ok {
			t.Errorf("%q: %d %v", tt.name, layer, ok)
		}
	}
}

// The rate of each layer of three, and a matrix that is left alone.
func ExampleSettings() {
	settings, err := optim.Settings(small(), optim.Config{
		Groups: []optim.Group{{Pattern: `^lm_head`, RateScale: new(0.0)}},
		Scales: []optim.Scale{optim.LayerDecay(0.9, 3, optim.Layer)},
	})
	if err != nil {
		panic(err)
	}
	for _, s := range settings {
		fmt.Printf("%.3f %s\n", s.RateScale, s.Name)
	}
	// Output:
	// 0.000 lm_head.weight
	// 0.729 model.embed_tokens.weight
	// 0.810 model.layers.0.mlp.up_proj.weight
	// 0.900 model.layers.1.mlp.up_proj.weight
	// 1.000 model.layers.2.input_layernorm.weight
	// 1.000 model.norm.weight
}

// LoRA+ by the names of PEFT.
func ExampleLoRAPlus() {
	settings, err := optim.Settings(named("q_proj.lora_A.weight", "q_proj.lora_B.weight"),
		optim.Config{Scales: []optim.Scale{optim.LoRAPlus(16)}})
	if err != nil {
		panic(err)
	}
	for _, s := range settings {
		fmt.Println(s.Name, s.RateScale)
	}
	// Output:
	// q_proj.lora_A.weight 1
	// q_proj.lora_B.weight 16
}
