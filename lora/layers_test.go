package lora_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/modeltest"
	"gotune/lora"
)

// Adapters with rsLoRA and of some layers only, as PEFT makes them: the same
// losses, and the same tensors when they are saved.
func TestGoldenLayers(t *testing.T) {
	raw, err := os.ReadFile("testdata/nll.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string][][]float32
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	m, batch := tiny(t), modeltest.Read(t, folder("tied")).Batches[0]
	rows, length := batch.Shape()
	for name, want := range map[string]lora.Config{
		"rslora": {RSLoRA: true},
		"last":   {Layers: []int{1}},
		"one":    {Layers: []int{0}, RSLoRA: true},
	} {
		dir := filepath.Join("testdata", name)
		ad, err := lora.Load(os.DirFS(dir), name, m)
		if err != nil {
			t.Fatal(err)
		}
		if ad.Config.RSLoRA != want.RSLoRA || !slices.Equal(ad.Config.Layers, want.Layers) {
			t.Errorf("%s: %+v", name, ad.Config)
		}
		again := t.TempDir()
		if err := ad.Save(again, "tied"); err != nil {
			t.Fatal(err)
		}
		peft := modeltest.Tensors(t, dir, "adapter_model.safetensors")
		for key, saved := range modeltest.Tensors(t, again, "adapter_model.safetensors") {
			if !slices.Equal(saved.Data, peft[key].Data) {
				t.Errorf("%s: %s differs from PEFT's", name, key)
			}
			delete(peft, key)
		}
		if len(peft) > 0 {
			t.Errorf("%s: %d tensors of PEFT's are not saved", name, len(peft))
		}
		if ad, err = lora.Load(os.DirFS(again), name, m); err != nil {
			t.Fatal(err)
		}
		p, _ := compile(t, m, ad, rows, length, false, false)
		batch.Write(p.Inputs)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		for r, nll := range golden[name] {
			modeltest.Near(t, name+": nll", p.NLL()[r*length:(r+1)*length-1], nll, 1e-6)
		}
	}
}

func TestLayers(t *testing.T) {
	for _, c := range []struct {
		targets []string
		layers  []int
		want    int
	}{
		{[]string{"q_proj"}, nil, 2},
		{[]string{"q_proj"}, []int{}, 2},
		{[]string{"q_proj"}, []int{1}, 1},
		{[]string{"q_proj", "down_proj"}, []int{0, 1}, 4},
		{[]string{"model.layers.0.self_attn.q_proj", "up_proj"}, []int{1}, 2}, // a whole name is adapted anyway
	} {
		ad, err := lora.New(lora.Config{Rank: 1, Alpha: 1, Targets: c.targets, Layers: c.layers}, tiny(t), 1)
		if err != nil || len(ad.Parameters()) != 2*c.want {
			t.Errorf("%v of layers %v: %v, want %d matrices", c.targets, c.layers, err, 2*c.want)
		}
	}
	for _, c := range []struct {
		targets []string
		layer   int
		part    string
	}{{[]string{"q_proj"}, 2, "0…1"}, {[]string{"q_proj"}, -1, "from 0"}, {[]string{"layers.0.self_attn.q_proj"}, 1, "none of the lora targets"}} {
		_, err := lora.New(lora.Config{Rank: 1, Alpha: 1, Targets: c.targets, Layers: []int{c.layer}}, tiny(t), 1)
		wants(t, err, c.part)
	}
}
