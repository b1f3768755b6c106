package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/internal/hf"
	"gotune/lora"
)

// With last_layers a new adapter has the last layers alone, and one that is
// continued learns in them alone; rsLoRA is kept with the adapter.
func TestLastLayersOfAnAdapter(t *testing.T) {
	r := staged(t, `
use_rslora: true
stages:
  - {name: a, max_steps: 3}
  - {name: b, max_steps: 3, last_layers: 1}
  - {name: c, max_steps: 3, last_layers: 1, previous_adapter: fresh}
`)
	run, _ := runRecipe(t, r)
	read := func(dir string) map[string]hf.Tensor {
		ts, err := hf.ReadFS(os.DirFS(filepath.Join(run, dir)), "adapter_model.safetensors", dir)
		if err != nil {
			t.Fatal(err)
		}
		return ts
	}
	a, b, c := read("stages/1-a/adapter"), read("stages/2-b/adapter"), read("adapter")
	for name, before := range a {
		last := strings.Contains(name, "layers.1.")
		if moved := !slices.Equal(before.Data, b[name].Data); moved != last {
			t.Errorf("stage b: %s moved: %v", name, moved)
		}
		if _, there := c[name]; there != last {
			t.Errorf("stage c: %s is there: %v", name, there)
		}
	}
	for dir, layers := range map[string][]int{"stages/2-b/adapter": nil, "adapter": {1}} {
		config, err := lora.ReadConfig(os.DirFS(filepath.Join(run, dir)), dir)
		if err != nil || !config.RSLoRA || !slices.Equal(config.Layers, layers) {
			t.Errorf("%s: %+v, %v", dir, config, err)
		}
	}
}
