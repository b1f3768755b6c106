package lora_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/modeltest"
	"gotune/lora"
	"gotune/model"
)

// In GPT-2 targets match by suffix, c_proj two layers of a block, and the files are
// PEFT's: fan_in_fan_out is true and A and B lie as for any other layer.
func TestGPT2(t *testing.T) {
	m := modeltest.Load(t, folder("gpt2-untied"))
	for _, c := range []struct {
		targets []string
		want    int
	}{
		{lora.TargetsFor("gpt2"), 8},
		{[]string{"c_attn"}, 2},
		{[]string{"c_proj"}, 4},
		{[]string{"mlp.c_proj"}, 2},
		{[]string{"transformer.h.1.attn.c_proj"}, 1},
	} {
		ad, err := lora.New(lora.Config{Rank: 2, Alpha: 1, Targets: c.targets}, m, 1)
		if err != nil || len(ad.Parameters()) != 2*c.want {
			t.Errorf("%v: %v, want %d layers", c.targets, err, c.want)
		}
	}
	_, err := lora.New(lora.Config{Rank: 2, Alpha: 1, Targets: lora.DefaultTargets}, m, 1)
	wants(t, err, `"q_proj"`, "c_attn, c_fc, c_proj")

	_, ad := load(t, "gpt2-untied")
	dir := t.TempDir()
	if err := ad.Save(dir, "gpt2-untied"); err != nil {
		t.Fatal(err)
	}
	want := modeltest.Tensors(t, filepath.Join(folder("gpt2-untied"), "adapter"), "adapter_model.safetensors")
	got := modeltest.Tensors(t, dir, "adapter_model.safetensors")
	for name, w := range want {
		if g := got[name]; !slices.Equal(g.Shape, w.Shape) || !slices.Equal(g.Data, w.Data) {
			t.Errorf("%s differs from PEFT's", name)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(raw, &keys); err != nil || keys["fan_in_fan_out"] != true || len(got) != len(want) {
		t.Errorf("fan_in_fan_out is %v, %d tensors, want %d (%v)", keys["fan_in_fan_out"], len(got), len(want), err)
	}
	_, err = lora.Load(os.DirFS(dir), "adapter", tiny(t))
	wants(t, err, "does not fit the model", "c_attn")
}

// One layer's update, by hand: W of Conv1D is [in, out].
func TestMergeConv1D(t *testing.T) {
	m := modeltest.Load(t, folder("gpt2-untied"))
	ad, err := lora.New(lora.Config{Rank: 1, Alpha: 3, Targets: []string{"h.0.mlp.c_fc"}}, m, 1)
	if err != nil {
		t.Fatal(err)
	}
	var a, b []float32
	for _, p := range ad.Parameters() {
		for i := range p.Value {
			p.Value[i] = float32(i%5) + 1
		}
		a, b = b, p.Value // A sorts first
	}
	merged, err := ad.Merge(m)
	if err != nil {
		t.Fatal(err)
	}
	const name = "transformer.h.0.mlp.c_fc.weight"
	before, after := m.Weights[name].Data, merged.Weights[name].Data
	for i := range 32 {
		for o := range 48 {
			if want := float32(float64(before[i*48+o]) + 3*float64(a[i])*float64(b[o])); after[i*48+o] != want {
				t.Fatalf("element %d, %d is %g, want %g", i, o, after[i*48+o], want)
			}
		}
	}
	other, err := model.New(m.Config, 1)
	if err != nil {
		t.Fatal(err)
	}
	delete(other.Weights, name)
	_, err = ad.Merge(other)
	wants(t, err, "merging", "c_fc")
}
