package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/hf"
	"gotune/internal/kernel"
	"gotune/internal/modeltest"
	"gotune/model"
)

// folders are models of all families.
var folders = modeltest.Folders

// run evaluates a model on some tokens.
func run(t *testing.T, m *model.Model) (loss float32, nll []float32) {
	t.Helper()
	p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 2, Length: 5})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.IDs {
		p.IDs[i], p.Targets[i], p.Positions[i] = int32(3*i), int32(5*i), int32(i%5)
	}
	p.Scale[0] = 1
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	return p.Loss(), slices.Clone(p.NLL())
}

// Whatever way a base is stored in, it computes what its widened numbers compute, to
// the bit, and these are what Save writes.
func TestLoadFrozen(t *testing.T) {
	for _, name := range folders {
		for _, d := range []hf.DType{hf.F32, hf.BF16} {
			dir := t.TempDir()
			original, err := model.Load(t.Context(), os.DirFS(filepath.Join("testdata", name)), name)
			if err != nil {
				t.Fatal(err)
			}
			if err := original.Save(dir, d); err != nil {
				t.Fatal(err)
			}
			for _, base := range model.Bases() {
				m, err := model.LoadFrozen(t.Context(), os.DirFS(dir), name, model.Base(base))
				if err != nil {
					t.Fatal(err)
				}
				if m.Count() != original.Count() {
					t.Errorf("%s %s: %d weights, want %d", name, base, m.Count(), original.Count())
				}
				loss, nll := run(t, m)
				wide, wideNLL := run(t, m.Thawed())
				if loss != wide || !slices.Equal(nll, wideNLL) {
					t.Errorf("%s %s of a file in %s: loss %g, of the widened numbers %g", name, base, d, loss, wide)
				}
				again := t.TempDir()
				if err := m.Save(again, hf.F32); err != nil {
					t.Fatal(err)
				}
				saved, err := model.Load(t.Context(), os.DirFS(again), name)
				if err != nil {
					t.Fatal(err)
				}
				if got, _ := run(t, saved); got != loss {
					t.Errorf("%s %s: a loss of %g after saving, want %g", name, base, got, loss)
				}
			}
		}
	}
}

// What a base takes in memory, and which of its weights are stored how.
func TestStored(t *testing.T) {
	dir := t.TempDir()
	original, err := model.Load(t.Context(), os.DirFS(filepath.Join("testdata", "untied")), "untied")
	if err != nil {
		t.Fatal(err)
	}
	if err := original.Save(dir, hf.BF16); err != nil {
		t.Fatal(err)
	}
	layers, tables, rest := 0, 0, 0
	for _, module := range original.Projections() {
		layers += len(original.Weights[module+".weight"].Data)
	}
	for _, table := range original.TokenRows() {
		tables += len(table.Data)
	}
	rest = original.Count() - layers - tables
	for base, want := range map[model.Base]map[string]int{
		model.BaseFP32: {"fp32": layers + tables + rest},
		model.BaseAuto: {"bf16": layers + tables, "fp32": rest},
		model.BaseBF16: {"bf16": layers + tables, "fp32": rest},
		model.BaseInt8: {"int8": layers, "bf16": tables, "fp32": rest},
		model.BaseNF4:  {"nf4": layers, "bf16": tables, "fp32": rest},
	} {
		m, err := model.LoadFrozen(t.Context(), os.DirFS(dir), "untied", base)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int)
		for _, s := range m.Stored() {
			got[s.Storage] = s.Count
		}
		for storage, n := range want {
			if got[storage] != n {
				t.Errorf("%s: %v, want %v", base, got, want)
				break
			}
		}
		outline, err := model.OutlineFrozen(original.Config, os.DirFS(dir), "untied", base)
		if err != nil || outline.Bytes() != m.Bytes() || outline.Count() != m.Count() {
			t.Errorf("%s: outlined with %d bytes (%v), it has %d", base, outline.Bytes(), err, m.Bytes())
		}
		if base == model.BaseAuto && m.Bytes() != int64(2*(layers+tables)+4*rest) {
			t.Errorf("%s takes %d bytes", base, m.Bytes())
		}
	}
	if _, err := model.ParseBase("int4"); err == nil {
		t.Error("int4 was taken")
	}
}

// A new model has the same numbers whether it can be trained or not, up to how they
// are stored, and computes the same in float32.
func TestNewFrozen(t *testing.T) {
	c, err := model.LoadConfig(os.DirFS(filepath.Join("testdata", "tied")), "tied")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := model.New(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := run(t, whole)
	for _, base := range model.Bases() {
		m, err := model.NewFrozen(c, 3, model.Base(base))
		if err != nil {
			t.Fatal(err)
		}
		after, _ := run(t, m)
		if exact := base == "auto" || base == "fp32"; (after == before) != exact || after < before*0.9 || after > before*1.1 {
			t.Errorf("%s: a loss of %g is %g", base, before, after)
		}
		if m.Count() != whole.Count() || m.Bytes() > whole.Bytes() {
			t.Errorf("%s: %d weights in %d bytes, want %d in at most %d", base, m.Count(), m.Bytes(), whole.Count(), whole.Bytes())
		}
		m.Arithmetic = kernel.BF16
		if rounded, _ := run(t, m); rounded == after || rounded < after*0.98 || rounded > after*1.02 {
			t.Errorf("%s: a loss of %g is %g in bf16", base, after, rounded)
		}
	}
}
