// Package layering holds the test that keeps imports pointing downward.
package layering

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// below lists, for every package of the module, the packages of the module that
// it may import. What a listed package imports is its own affair. A new package
// needs a line here; that is the moment to think about where it belongs.
var below = map[string][]string{
	"internal/rng":       {},
	"internal/pages":     {},
	"internal/disk":      {},
	"internal/layering":  {},
	"internal/yamlnode":  {},
	"internal/kernel":    {"internal/pages"},
	"internal/ref":       {},
	"internal/hf":        {"internal/pages", "internal/disk"},
	"internal/gguf":      {"internal/pages", "internal/hf"},
	"internal/op":        {"internal/pages", "internal/kernel"},
	"internal/exec":      {"internal/pages", "internal/op", "internal/kernel"},
	"schedule":           {},
	"schedule/draw":      {},
	"optim":              {"internal/pages", "internal/kernel"},
	"tokenizer":          {"internal/disk"},
	"data/world":         {"internal/rng", "internal/disk"},
	"data/rows":          {"data/chat", "data/world"},
	"data/chat/jinja":    {},
	"data/chat":          {"data/chat/jinja", "tokenizer"},
	"data":               {"data/chat", "data/rows", "data/world", "tokenizer", "internal/rng", "internal/disk"},
	"data/inspect":       {"data", "data/chat", "data/rows"},
	"model":              {"internal/pages", "internal/op", "internal/exec", "internal/kernel", "internal/hf", "internal/rng", "internal/disk"},
	"model/base":         {},
	"internal/modeltest": {"model", "internal/hf", "optim"}, // for tests of model and lora
	"lora":               {"model", "internal/op", "internal/exec", "internal/kernel", "internal/hf", "internal/rng", "internal/disk", "internal/pages"},
	"lora/prompt":        {"model", "internal/op", "internal/kernel", "internal/hf", "internal/rng", "internal/disk"},
	"export":             {"model", "tokenizer", "internal/gguf", "internal/hf", "internal/disk"},
	"train": {"internal/pages", "lora", "lora/prompt", "model", "model/base", "data", "data/chat", "data/rows", "data/world", "tokenizer", "optim", "schedule",
		"internal/exec", "internal/kernel", "internal/hf", "internal/rng", "internal/disk", "internal/tensorboard", "internal/yamlnode"},
	"study/stats":    {},
	"study":          {"train", "lora", "model", "data", "data/rows", "data/world", "tokenizer", "study/stats", "internal/hf", "internal/disk", "internal/kernel", "internal/yamlnode"},
	"study/registry": {"study", "train", "internal/disk"},
	"study/suite":    {"report", "study", "study/stats", "train", "internal/disk"},
	"report":         {"study", "study/stats", "internal/disk"},
	"examples":       {},
	"cmd/gotune": {"examples", "report", "study", "study/registry", "study/suite", "train", "export", "lora", "lora/prompt", "model", "model/base", "data", "data/inspect", "data/chat", "data/rows", "data/world", "tokenizer", "optim", "schedule", "schedule/draw",
		"internal/exec", "internal/kernel", "internal/hf", "internal/rng", "internal/disk"},

	"internal/tensorboard": {},
}

func TestImportsPointDownward(t *testing.T) {
	const module = "gotune"
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	listed := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := listed.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if strings.HasPrefix(name, "examples/") {
			// Examples stand on top and use the public packages, as other modules do.
			for _, i := range p.Imports {
				if strings.HasPrefix(i, module+"/internal/") {
					t.Errorf("%s imports %s, which another module cannot", name, i)
				}
			}
			continue
		}
		allowed, known := below[name]
		if !known {
			t.Errorf("%s has no line in the table of layers", name)
			continue
		}
		for _, i := range p.Imports {
			i, ours := strings.CutPrefix(i, module+"/")
			if ours && !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s, which is not below it", name, i)
			}
		}
	}
}
