package lora_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/modeltest"
	"gotune/lora"
	"gotune/model"
)

// weighted loads the two adapters that golden_options.py combined.
func weighted(t *testing.T, m *model.Model) []*lora.Adapter {
	t.Helper()
	var ads []*lora.Adapter
	for _, name := range []string{"first", "second"} {
		ad, err := lora.Load(os.DirFS(optionFolder(filepath.Join("weighted", name))), name, m)
		if err != nil {
			t.Fatal(err)
		}
		ads = append(ads, ad)
	}
	return ads
}

// Adapters put together with weights give the losses of PEFT's add_weighted_adapter, also
// after they are saved and merged.
func TestCombine(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "options", "weighted.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]struct {
		Rank int
		Loss float64
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	run := optionRun{Model: "untied"}
	m := modeltest.Load(t, folder(run.Model))
	ads := weighted(t, m)
	for name, want := range golden {
		combination, rank := name, 0
		if name == "svd5" {
			combination, rank = "svd", 5
		}
		ad, err := lora.Combine(ads, []float64{0.75, -0.5}, combination, rank)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ad.Config.Rank != want.Rank {
			t.Errorf("%s: rank %d, want %d", name, ad.Config.Rank, want.Rank)
		}
		modeltest.NearOne(t, name, loss(t, run, m, ad), want.Loss, 1e-6)
		dir := t.TempDir()
		if err := ad.Save(dir, ""); err != nil {
			t.Fatal(err)
		}
		again, err := lora.Load(os.DirFS(dir), name, m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		modeltest.NearOne(t, name+", saved", loss(t, run, m, again), want.Loss, 1e-6)
		merged, err := ad.Merge(m)
		if err != nil {
			t.Fatal(err)
		}
		modeltest.NearOne(t, name+", merged", loss(t, run, merged, nil), want.Loss, 2e-6)
	}
}

func TestCombineRefuses(t *testing.T) {
	m := modeltest.Load(t, folder("untied"))
	ads := weighted(t, m)
	make := func(c lora.Config) *lora.Adapter {
		c.Rank, c.Alpha, c.Targets = 3, 3, []string{"q_proj"}
		ad, err := lora.New(c, m, 1)
		if err != nil {
			t.Fatal(err)
		}
		return ad
	}
	one := []float64{1, 1}
	for _, c := range []struct {
		ads         []*lora.Adapter
		weights     []float64
		combination string
		rank        int
		part        string
	}{
		{nil, nil, "cat", 0, "0 adapters"},
		{ads, []float64{1}, "cat", 0, "2 adapters and 1 weights"},
		{ads, one, "sum", 0, `"sum"`},
		{ads, one, "cat", 3, "rank is 3"},
		{ads, []float64{1, math.NaN()}, "cat", 0, "weight of adapter 2 is NaN"},
		{append(ads[:1:1], make(lora.Config{DoRA: true})), one, "cat", 0, "adapter 2 is DoRA"},
		{append(ads[:1:1], make(lora.Config{Init: "pissa"})), one, "cat", 0, "pissa"},
		{append(ads[:1:1], make(lora.Config{RankPattern: map[string]int{"q_proj": 2}})), one, "linear", 0, "linear needs one rank"},
		{[]*lora.Adapter{make(lora.Config{ModulesToSave: []string{"lm_head"}}), make(lora.Config{Bias: "all"})}, one, "cat", 0, "trained modules too"},
	} {
		_, err := lora.Combine(c.ads, c.weights, c.combination, c.rank)
		wants(t, err, "combining adapters", c.part)
	}
}

// PiSSA after its steps, made plain, is what PEFT's conversion makes of it, for the base as it
// was; OLoRA and a DoRA on PiSSA give the same losses as before.
func TestPlain(t *testing.T) {
	for name, run := range options(t) {
		m, ad := loadOption(t, run, name, true)
		if !ad.Config.ChangesBase() {
			if ad.Plain() != ad {
				t.Errorf("%s is made plain", name)
			}
			continue
		}
		golden := modeltest.Read(t, folder(run.Model))
		rows, length := golden.Batches[0].Shape()
		p, params := compile(t, m, ad, rows, length, true, false)
		modeltest.Steps(t, golden, p, params)
		before := loss(t, run, m, ad)
		plain := ad.Plain()
		modeltest.NearOne(t, name+": loss made plain", loss(t, run, m, plain), before, 2e-6)
		dir := t.TempDir()
		if err := plain.Save(dir, ""); err != nil {
			t.Fatal(err)
		}
		fresh := modeltest.Load(t, folder(run.Model))
		again, err := lora.Load(os.DirFS(dir), name, fresh)
		if err != nil {
			t.Fatal(err)
		}
		modeltest.NearOne(t, name+": loss made plain and saved", loss(t, run, fresh, again), before, 2e-6)
	}
	run := options(t)["pissa"]
	m := modeltest.Load(t, folder(run.Model))
	peft, err := lora.Load(os.DirFS(optionFolder("plain")), "plain", m)
	if err != nil {
		t.Fatal(err)
	}
	modeltest.NearOne(t, "loss of PEFT's plain adapter", loss(t, run, m, peft), run.After, 2e-6)
}

// The rank-3 update of a matrix, shrunk, is the sum of its largest singular parts: what
// remains of the squared norm is said, and the loss of a rank that is enough does not change.
func TestShrink(t *testing.T) {
	run := optionRun{Model: "untied"}
	m := modeltest.Load(t, folder(run.Model))
	ads := weighted(t, m)
	wide, err := lora.Combine(ads[:1], []float64{2}, "svd", 8)
	if err != nil {
		t.Fatal(err)
	}
	before := loss(t, run, m, ads[0])
	_ = before
	full := loss(t, run, m, wide)
	small, lost, err := wide.Shrink(3) // the rank that the update has
	if err != nil {
		t.Fatal(err)
	}
	modeltest.NearOne(t, "loss at the rank of the update", loss(t, run, m, small), full, 1e-6)
	for _, l := range lost {
		if l.From != 8 || l.To != 3 || math.Abs(l.Kept-1) > 1e-9 {
			t.Errorf("%+v, want all kept from 8 to 3", l)
		}
	}
	one, lost, err := small.Shrink(1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := small.Merge(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := one.Merge(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lost {
		var gone, all float64
		for i, w := range m.Weights[l.Module+".weight"].Data {
			x, y := a.Weights[l.Module+".weight"].Data[i], b.Weights[l.Module+".weight"].Data[i]
			gone += (float64(x) - float64(y)) * (float64(x) - float64(y))
			all += (float64(x) - float64(w)) * (float64(x) - float64(w))
		}
		if math.Abs(1-gone/all-l.Kept) > 1e-5 || l.Kept > 0.99 {
			t.Errorf("%s: %g of the squared norm is left, said %g", l.Module, 1-gone/all, l.Kept)
		}
	}
	_, _, err = small.Shrink(3)
	wants(t, err, "shrinking", "3 already")
	_, _, err = small.Shrink(0)
	wants(t, err, "at least 1")
}

// Adapters with ranks of their own, lengths, modules beside them and a part of the base are
// shrunk, saved and read again, with the scales they had.
func TestShrinkOptions(t *testing.T) {
	for name, run := range options(t) {
		m, ad := loadOption(t, run, name, true)
		if slices.Max(ad.Ranks()) == 1 {
			continue
		}
		small, _, err := ad.Shrink(1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := loss(t, run, m, small)
		dir := t.TempDir()
		if err := small.Save(dir, ""); err != nil {
			t.Fatal(err)
		}
		fresh := modeltest.Load(t, folder(run.Model))
		again, err := lora.Load(os.DirFS(dir), name, fresh)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := loss(t, run, fresh, again); math.Abs(got-want) > 1e-6*want || fmt.Sprint(again.Ranks()) != "[1]" {
			t.Errorf("%s: loss %g after saving, %g before, ranks %v", name, got, want, again.Ranks())
		}
	}
}

// Merged and taken out, a weight comes back to within one unit in the last place of the
// larger of it and the merged one.
func TestUnmerge(t *testing.T) {
	for name, run := range options(t) {
		m, ad := loadOption(t, run, name, false)
		if ad.Config.DoRA || ad.Config.ChangesBase() || len(ad.Whole()) > 0 {
			_, err := ad.Unmerge(m)
			wants(t, err, "taking the adapter out")
			continue
		}
		merged, err := ad.Merge(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ad.Unmerge(merged)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		changed := 0
		for weight, w := range m.Weights {
			for i, v := range w.Data {
				large := max(math.Abs(float64(v)), math.Abs(float64(merged.Weights[weight].Data[i])))
				unit := float64(math.Nextafter32(float32(large), float32(math.Inf(1)))) - float64(float32(large))
				if got := back.Weights[weight].Data[i]; math.Abs(float64(got)-float64(v)) > unit {
					t.Fatalf("%s: %s[%d] comes back as %g, was %g", name, weight, i, got, v)
				}
				if v != merged.Weights[weight].Data[i] {
					changed++
				}
			}
		}
		if changed == 0 {
			t.Errorf("%s: merging changed nothing", name)
		}
	}
}
