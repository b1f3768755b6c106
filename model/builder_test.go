package model

import (
	"errors"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
)

func tiny(t *testing.T) *Model {
	t.Helper()
	c := llama(16, 8, 8, 2, 2, 1, 8)
	m, err := New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every place that asks for dropout has a mask of its own, which does not depend
// on whether the others are on.
func TestDropoutStreams(t *testing.T) {
	m := tiny(t)
	b := newBuilder(m, 1, 2, 0, nil)
	if d := b.Dropout(0.5); d != nil {
		t.Error("dropout is on outside training")
	}
	b.Training = true
	if d := b.Dropout(0); d != nil {
		t.Error("a dropout of 0 is on")
	}
	first, second := b.Dropout(0.5), b.Dropout(0.5)
	if first.Stream == second.Stream {
		t.Error("two places have the same mask")
	}
	if first.Stream != 3 || first.Key == nil || first.P != 0.5 {
		t.Errorf("the third place has %+v", first)
	}
}

// The error of an adapter's hook, or the first one in building, is what compiling
// returns, for training and for generation.
func TestHookErrors(t *testing.T) {
	m := tiny(t)
	for part, hook := range map[string]ProjectFunc{
		"no luck": func(b *Builder, module string, _ *gorgonia.Node) *gorgonia.Node {
			b.Fail(errors.New("no luck with " + module))
			b.Fail(errors.New("a second error"))
			return nil
		},
		"no weight model.extra": func(b *Builder, _ string, _ *gorgonia.Node) *gorgonia.Node { return b.Weight("model.extra") },
	} {
		_, err := m.Program(exec.NewArena(nil), ProgramOptions{Rows: 1, Length: 2, Project: hook})
		_, err2 := NewGenerator(m, nil, hook).Generate(t.Context(), []int32{1}, Sampling{}, nil)
		for _, err := range []error{err, err2} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("error %v, want %q", err, part)
			}
		}
	}
}

// A weight that is missing from a model in memory is named.
func TestMissingWeight(t *testing.T) {
	for _, name := range []string{"model.embed_tokens.weight", "model.layers.1.input_layernorm.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight"} {
		m := tiny(t)
		delete(m.Weights, name)
		_, err := m.Program(exec.NewArena(nil), ProgramOptions{Rows: 1, Length: 2})
		if err == nil || !strings.Contains(err.Error(), "no weight "+name) {
			t.Errorf("error %v, want one that names %s", err, name)
		}
	}
}
