package model_test

import (
	"strings"
	"testing"

	"gotune/internal/modeltest"
	"gotune/model"
)

func TestAssemble(t *testing.T) {
	m := modeltest.Load(t, "testdata/untied")
	whole, err := model.Assemble(m.Config, m.Weights)
	if err != nil || whole.Count() != m.Count() {
		t.Fatalf("assembled %d parameters of %d: %v", whole.Count(), m.Count(), err)
	}
	m.Weights["extra"] = model.Tensor{}
	refused := func(want string) {
		t.Helper()
		if _, err := model.Assemble(m.Config, m.Weights); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
	refused("unexpected tensors: extra")
	delete(m.Weights, "extra")
	norm := m.Weights["model.norm.weight"]
	m.Weights["model.norm.weight"] = model.Tensor{Shape: []int{1}, Data: []float32{1}}
	refused("tensor model.norm.weight has shape [1]")
	m.Weights["model.norm.weight"] = norm
	delete(m.Weights, "lm_head.weight")
	refused("missing tensors: lm_head.weight")
}
