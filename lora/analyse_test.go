package lora

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotune/internal/hf"
)

// folder writes an adapter of alpha 4 and rank 2 with the matrices given.
func adapterFolder(t *testing.T, tensors map[string]hf.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	config := `{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["p","q"]}`
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := hf.WriteFile(filepath.Join(dir, weightsFile), tensors, hf.F32); err != nil {
		t.Fatal(err)
	}
	return dir
}

func matrix(rows, cols int, values ...float32) hf.Tensor {
	return hf.Tensor{Shape: []int{rows, cols}, Data: values}
}

// Worked by hand. The scale is alpha/rank = 2.
func TestAnalyse(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		a, b hf.Tensor
		want Update
	}{
		// B·A = [[3,0,0],[0,4,0]]: singular values 3 and 4, norm 2·5. The shares are
		// 3/7 and 4/7, their entropy 0.682908.
		{"two directions", matrix(2, 3, 1, 0, 0, 0, 1, 0), matrix(2, 2, 3, 0, 0, 4), Update{Out: 2, In: 3, Norm: 10, EffectiveRank: 1.979626}},
		// Columns of B that are multiples of each other: B·A = [1,2]ᵀ·[2,1], one
		// direction of size √5·√5.
		{"one direction", matrix(2, 2, 1, 0, 1, 1), matrix(2, 2, 1, 1, 2, 2), Update{Out: 2, In: 2, Norm: 10, EffectiveRank: 1}},
		// Orthogonal columns and rows of one size: 2·√(2·(√2·1)²) = 4, both
		// directions weigh the same.
		{"even", matrix(2, 4, 1, 0, 0, 0, 0, 1, 0, 0), matrix(3, 2, 1, 1, 1, -1, 0, 0), Update{Out: 3, In: 4, Norm: 4, EffectiveRank: 2}},
		// A layer narrower than the rank, as PEFT allows.
		{"narrow", matrix(2, 1, 1, 1), matrix(1, 2, 1, 2), Update{Out: 1, In: 1, Norm: 6, EffectiveRank: 1}},
		{"B is zero", matrix(2, 2, 1, 2, 3, 4), matrix(2, 2, 0, 0, 0, 0), Update{Out: 2, In: 2, Idle: true}},
		{"tiny", matrix(2, 2, 1, 0, 0, 1), matrix(2, 2, 1e-7, 0, 0, 1e-7), Update{Out: 2, In: 2, Norm: 2 * math.Sqrt2 * 1e-7, EffectiveRank: 2, Idle: true}},
		{"no numbers", matrix(2, 2, 1, nan, 0, 1), matrix(2, 2, 1, 0, 0, 1), Update{Out: 2, In: 2, Broken: true}},
	} {
		dir := adapterFolder(t, map[string]hf.Tensor{
			"base_model.model.h.0.p.lora_A.weight": c.a, "base_model.model.h.0.p.lora_B.weight": c.b,
			// Beside it a layer of norm 2, so that there is a largest one.
			"base_model.model.h.0.q.lora_A.weight": matrix(2, 1, 1, 0), "base_model.model.h.0.q.lora_B.weight": matrix(1, 2, 1, 0),
		})
		_, got, err := Analyse(os.DirFS(dir), "x")
		if err != nil || len(got) != 2 {
			t.Errorf("%s: %v, %v", c.name, got, err)
			continue
		}
		c.want.Module, c.want.Rank = "h.0.p", 2
		g := got[0]
		if math.Abs(g.Norm-c.want.Norm) > 1e-6*c.want.Norm || math.Abs(g.EffectiveRank-c.want.EffectiveRank) > 1e-6 {
			t.Errorf("%s: norm %v and effective rank %v, want %v and %v", c.name, g.Norm, g.EffectiveRank, c.want.Norm, c.want.EffectiveRank)
		}
		g.Norm, g.EffectiveRank, c.want.Norm, c.want.EffectiveRank = 0, 0, 0, 0
		if g != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, g, c.want)
		}
		if q := got[1]; q.Norm != 2 || q.Idle {
			t.Errorf("%s: the layer beside it: %+v", c.name, q)
		}
	}
}

// Layers come in the order of their numbers.
func TestAnalyseOrder(t *testing.T) {
	tensors := make(map[string]hf.Tensor)
	for _, layer := range []int{0, 2, 10} {
		tensors[fmt.Sprintf("base_model.model.h.%d.p.lora_A.weight", layer)] = matrix(2, 1, 1, 0)
		tensors[fmt.Sprintf("base_model.model.h.%d.p.lora_B.weight", layer)] = matrix(1, 2, 1, 0)
	}
	_, got, err := Analyse(os.DirFS(adapterFolder(t, tensors)), "x")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, u := range got {
		order = append(order, u.Module)
	}
	if want := "h.0.p h.2.p h.10.p"; strings.Join(order, " ") != want {
		t.Errorf("order %v, want %s", order, want)
	}
}

func TestAnalyseRefuses(t *testing.T) {
	a, b := matrix(2, 1, 1, 0), matrix(1, 2, 1, 0)
	for name, c := range map[string]struct {
		tensors map[string]hf.Tensor
		want    string
	}{
		"no partner":    {map[string]hf.Tensor{"m.lora_A.weight": a}, "has no partner m.lora_B.weight"},
		"a lone B":      {map[string]hf.Tensor{"m.lora_B.weight": b}, "m.lora_B.weight is not a part"},
		"something":     {map[string]hf.Tensor{"m.weight": b}, "m.weight is not a part"},
		"other shapes":  {map[string]hf.Tensor{"m.lora_A.weight": a, "m.lora_B.weight": a}, "[2 1] and [2 1]"},
		"another rank":  {map[string]hf.Tensor{"m.lora_A.weight": matrix(1, 1, 1), "m.lora_B.weight": matrix(1, 1, 1)}, "have the rank 1, adapter_config.json says 2"},
		"without sides": {map[string]hf.Tensor{"m.lora_A.weight": matrix(2, 0), "m.lora_B.weight": b}, "[2 0]"},
	} {
		_, _, err := Analyse(os.DirFS(adapterFolder(t, c.tensors)), "x")
		if err == nil || !strings.Contains(err.Error(), "adapter x: "+weightsFile) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
	}
}
