package train

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"path/filepath"
	"testing"

	"gotune/internal/kernel"
)

// Whatever must change no bit.
func TestSameBytes(t *testing.T) {
	for _, full := range []bool{false, true} {
		base := tinyRecipe(t)
		base.Full, base.Dropout = full, 0.1
		want, _ := runRecipe(t, base)
		for what, change := range map[string]func(*Recipe){
			"again":                  func(*Recipe) {},
			"two threads":            func(r *Recipe) { r.Threads = 2 },
			"three threads":          func(r *Recipe) { r.Threads = 3 },
			"gradient checkpointing": func(r *Recipe) { r.GradientCheckpointing = "blocks" },
			"one of two blocks":      func(r *Recipe) { r.GradientCheckpointing = "blocks:1" },
			"evaluation on the way":  func(r *Recipe) { r.EvalData, r.EvalSteps = r.Data, 3 },
		} {
			r := base
			change(&r)
			got, _ := runRecipe(t, r)
			sameTensors(t, what, want, got)
		}
		r := DefaultRecipe()
		if err := r.ReadFile(filepath.Join(want, recipeName)); err != nil {
			t.Fatal(err)
		}
		got, _ := runRecipe(t, r)
		sameTensors(t, "the run's own recipe", want, got)
	}
}

// The bytes of a run on every amd64 CPU with AVX2 or better; NEON makes the same of
// these recipes, in which no number is small enough to tell. A change of these
// hashes is a change of the arithmetic: raise Arithmetic, and train the base anew.
func TestArithmetic(t *testing.T) {
	for _, level := range kernel.Levels() {
		if level == kernel.Generic {
			continue // promised from AVX2 on
		}
		t.Run(level.String(), func(t *testing.T) {
			defer kernel.SetLevel(level)()
			testArithmetic(t)
		})
	}
}

func testArithmetic(t *testing.T) {
	for full, want := range map[bool]string{
		false: "4f7c12a0f409066f7d2025418797f2d06220ed5df7ef22bfafffb4c51666af2c",
		true:  "faa1bec531d1ecc46b41297483ee9ed4f78309d0553d3ca5f140491a02cea4fe",
	} {
		r := tinyRecipe(t)
		r.Full, r.Packing = full, full
		run, _ := runRecipe(t, r)
		name := "adapter/adapter_model.safetensors"
		if full {
			name = "model/model.safetensors"
		}
		sum := sha256.Sum256([]byte(tensors(t, run)[filepath.FromSlash(name)]))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("full %t: %s has the hash %s, want %s", full, name, got, want)
		}
	}
}

// How a step is split into micro-batches and rows changes the gradient by
// rounding alone. The bound is 16 units in the last place of float32, relative
// to the loss and the norm.
func TestSplitsAgree(t *testing.T) {
	const bound = 16 * 0x1p-23
	first := func(change func(*Recipe)) StepEvent {
		r := tinyRecipe(t)
		r.Data = Paths(tinyRows(t, 8))
		r.Shuffle, r.MaxSteps, r.Dropout = false, 1, 0
		change(&r)
		_, s := runRecipe(t, r)
		return s.steps[0]
	}
	want := first(func(*Recipe) {})
	for what, change := range map[string]func(*Recipe){
		"4×2 accumulated": func(r *Recipe) { r.BatchSize, r.GradientAccumulationSteps = 2, 4 },
		"1×8 accumulated": func(r *Recipe) { r.BatchSize, r.GradientAccumulationSteps = 1, 8 },
		"packed":          func(r *Recipe) { r.Packing = true },
	} {
		got := first(change)
		if got.TargetTokens != want.TargetTokens {
			t.Errorf("%s: %d target tokens, want %d", what, got.TargetTokens, want.TargetTokens)
		}
		if math.Abs(got.Loss-want.Loss) > bound*want.Loss || math.Abs(got.GradNorm-want.GradNorm) > bound*want.GradNorm {
			t.Errorf("%s: loss %.9g and norm %.9g, want %.9g and %.9g", what, got.Loss, got.GradNorm, want.Loss, want.GradNorm)
		}
	}
}
