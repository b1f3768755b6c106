package model_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/modeltest"
	"gotune/model"
)

// generate continues a prompt with a fresh generator.
func generate(t *testing.T, m *model.Model, prompt []int32, s model.Sampling) []int32 {
	t.Helper()
	got, err := model.NewGenerator(m, nil, nil).Generate(t.Context(), prompt, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Greedy texts are those of transformers' generate: one of 40 tokens, and one
// after a prompt that is longer than what is taken in at once, with a repetition
// penalty.
func TestGreedyIsThatOfTransformers(t *testing.T) {
	for _, name := range modeltest.Folders {
		m := golden(t, name)
		for _, text := range modeltest.Read(t, filepath.Join("testdata", name)).Full.Greedy {
			got := generate(t, m, text.Prompt, model.Sampling{Greedy: true, RepetitionPenalty: text.Penalty, MaxNewTokens: len(text.IDs)})
			if !slices.Equal(got, text.IDs) {
				t.Errorf("%s, after %d tokens: %v, want %v", name, len(text.Prompt), got, text.IDs)
			}
		}
	}
}

// The cache changes nothing: for prompts of every length around the sizes in
// which they are taken in, each new token is the most likely one of the forward
// pass over the whole text.
func TestCacheEqualsForwardPass(t *testing.T) {
	m := golden(t, "untied")
	long := modeltest.Read(t, filepath.Join("testdata", "untied")).Full.Greedy[1].Prompt
	for _, n := range []int{1, 2, 3, 31, 33, 63, 64, 65, 70} {
		ids := slices.Clone(long[:n])
		ids = append(ids, generate(t, m, ids, model.Sampling{Greedy: true, MaxNewTokens: 8})...)
		p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: len(ids)})
		if err != nil {
			t.Fatal(err)
		}
		train(t, p, nil, segments(len(ids), [][]int32{ids}))
		for i := n - 1; i < len(ids)-1; i++ {
			if p.Hit()[i] != 1 {
				t.Errorf("prompt of %d tokens: token %d is not the most likely", n, i+1)
			}
		}
	}
}

// Laying a model out for generation changes no bit: neither of drawn texts, nor of what a
// program computes, with any storage and number of threads.
func TestLayOutForGeneration(t *testing.T) {
	c, err := model.Shape("toy")
	if err != nil {
		t.Fatal(err)
	}
	c.Layers = 2
	prompt := make([]int32, 70)
	for i := range prompt {
		prompt[i] = int32(i * i * 37 % c.VocabSize)
	}
	for _, base := range []model.Base{model.BaseFP32, model.BaseBF16, model.BaseInt8, model.BaseNF4} {
		m, err := model.NewFrozen(c, 1, base)
		if err != nil {
			t.Fatal(err)
		}
		results := func(threads int) ([]int32, []float32) {
			team := kernel.NewTeam(threads)
			defer team.Close()
			ids, err := model.NewGenerator(m, team, nil).Generate(t.Context(), prompt, model.Sampling{Temperature: 1, Seed: 3, MaxNewTokens: 40}, nil)
			if err != nil {
				t.Fatal(err)
			}
			p, err := m.Program(exec.NewArena(team), model.ProgramOptions{Rows: 1, Length: len(prompt)})
			if err != nil {
				t.Fatal(err)
			}
			train(t, p, nil, segments(len(prompt), [][]int32{prompt}))
			return ids, slices.Clone(p.NLL())
		}
		ids, nll := results(1)
		stored := m.Stored()
		m.LayOutForGeneration(nil)
		if got := m.Stored(); !slices.Equal(got, stored) {
			t.Errorf("%s: the weights are stored as %v, before as %v", base, got, stored)
		}
		for threads := 1; threads < 4; threads++ {
			gotIDs, gotNLL := results(threads)
			if !slices.Equal(gotIDs, ids) || !slices.Equal(gotNLL, nll) {
				t.Errorf("%s, %d threads: the text is %v, was %v", base, threads, gotIDs, ids)
			}
		}
	}
}

// A second call that begins with the text so far, or branches off from it, gives
// what a new generator gives.
func TestSecondCallUsesThePast(t *testing.T) {
	m := golden(t, "untied")
	g := model.NewGenerator(m, nil, nil)
	s := model.Sampling{Greedy: true, MaxNewTokens: 12}
	prompt := []int32{7, 3, 55, 12}
	var reply []int32
	for _, next := range [][]int32{{}, {9, 41}, {5}} {
		prompt = slices.Concat(prompt, reply, next)
		var err error
		if reply, err = g.Generate(t.Context(), prompt, s, nil); err != nil {
			t.Fatal(err)
		}
		if want := generate(t, m, prompt, s); !slices.Equal(reply, want) {
			t.Errorf("after %d tokens: %v, a new generator says %v", len(prompt), reply, want)
		}
	}
	for _, branch := range [][]int32{prompt[:10], append(slices.Clone(prompt[:6]), 60, 1), {8}, prompt} {
		got, err := g.Generate(t.Context(), branch, s, nil)
		if want := generate(t, m, branch, s); err != nil || !slices.Equal(got, want) {
			t.Errorf("branch of %d tokens: %v (%v), a new generator says %v", len(branch), got, err, want)
		}
	}
}

// The last position gives one more token; then the context is full.
func TestContextFull(t *testing.T) {
	m := golden(t, "tied")
	m.Config.MaxPositions = 16
	g := model.NewGenerator(m, nil, nil)
	prompt := []int32{7, 3, 55, 12, 9, 1, 2, 3, 4, 5}
	got, err := g.Generate(t.Context(), prompt, model.Sampling{Greedy: true}, nil)
	if !errors.Is(err, model.ErrContextFull) || len(got) != 16-10+1 {
		t.Errorf("%d new tokens and error %v, want 7 and a full context", len(got), err)
	}
	if got, err = g.Generate(t.Context(), prompt, model.Sampling{Greedy: true, MaxNewTokens: 7}, nil); err != nil || len(got) != 7 {
		t.Errorf("%d new tokens and error %v, want 7 and none", len(got), err)
	}
	_, err = g.Generate(t.Context(), make([]int32, 17), model.Sampling{}, nil)
	if !errors.Is(err, model.ErrContextFull) {
		t.Errorf("error %v, want a full context", err)
	}
	wants(t, err, "17 tokens", "16 positions")
}

func TestStop(t *testing.T) {
	m := golden(t, "untied")
	text := modeltest.Read(t, filepath.Join("testdata", "untied")).Full.Greedy[0]
	stop := text.IDs[3]
	first := slices.Index(text.IDs, stop)
	s := model.Sampling{Greedy: true, MaxNewTokens: 10, Stop: []int32{60, stop}}
	if got := generate(t, m, text.Prompt, s); !slices.Equal(got, text.IDs[:first]) {
		t.Errorf("%v, want %v: all before %d", got, text.IDs[:first], stop)
	}
	s.IgnoreEOS = true
	if got := generate(t, m, text.Prompt, s); !slices.Equal(got, text.IDs[:10]) {
		t.Errorf("%v, want %v: nothing stops it", got, text.IDs[:10])
	}
}

// Tokens come one by one, and an error or a cancelled context ends the text with
// what there is.
func TestYield(t *testing.T) {
	m := golden(t, "tied")
	g := model.NewGenerator(m, nil, nil)
	s := model.Sampling{Greedy: true, MaxNewTokens: 9}
	var seen []int32
	got, err := g.Generate(t.Context(), []int32{1, 2}, s, func(id int32) error { seen = append(seen, id); return nil })
	if err != nil || len(got) != 9 || !slices.Equal(seen, got) {
		t.Errorf("yielded %v, returned %v (%v)", seen, got, err)
	}
	enough := errors.New("enough")
	two, err := g.Generate(t.Context(), []int32{1, 2}, s, func(id int32) error {
		if id == got[1] {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || !slices.Equal(two, got[:slices.Index(got, got[1])+1]) {
		t.Errorf("%v (%v), want the start of %v", two, err, got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	one, err := g.Generate(ctx, []int32{1, 2}, s, func(int32) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || !slices.Equal(one, got[:1]) {
		t.Errorf("%v (%v), want %v and the context's error", one, err, got[:1])
	}
	if none, err := g.Generate(ctx, []int32{5, 6}, s, nil); !errors.Is(err, context.Canceled) || len(none) != 0 {
		t.Errorf("%v (%v), want the context's error", none, err)
	}
	// The generator is as good as new.
	if again, err := g.Generate(t.Context(), []int32{1, 2}, s, nil); err != nil || !slices.Equal(again, got) {
		t.Errorf("%v (%v), want %v", again, err, got)
	}
}

// A seed names a text.
func TestSeed(t *testing.T) {
	m := golden(t, "tied")
	s := model.Sampling{Temperature: 1.5, MaxNewTokens: 30, Seed: 1}
	first := generate(t, m, []int32{4}, s)
	if !slices.Equal(first, generate(t, m, []int32{4}, s)) {
		t.Error("the same seed gives another text")
	}
	s.Seed = 2
	if slices.Equal(first, generate(t, m, []int32{4}, s)) {
		t.Error("another seed gives the same text")
	}
	// One token left to choose from is the greedy one.
	greedy := generate(t, m, []int32{4}, model.Sampling{Greedy: true, MaxNewTokens: 30})
	for what, s := range map[string]model.Sampling{"top_k": {TopK: 1}, "top_p": {TopP: 1e-9}, "min_p": {MinP: 1}, "temperature": {Temperature: 1e-300}} {
		s.MaxNewTokens = 30
		if got := generate(t, m, []int32{4}, s); !slices.Equal(got, greedy) {
			t.Errorf("%s leaves one token, got %v, want %v", what, got, greedy)
		}
	}
}

func TestGenerateErrors(t *testing.T) {
	g := model.NewGenerator(golden(t, "tied"), nil, nil)
	for _, c := range []struct {
		prompt []int32
		s      model.Sampling
		part   string
	}{
		{nil, model.Sampling{}, "the prompt is empty"},
		{[]int32{1, 61}, model.Sampling{}, "token id 61 is outside the model's vocabulary of 61"},
		{[]int32{-1}, model.Sampling{}, "token id -1"},
		{[]int32{1}, model.Sampling{TopP: 2}, "top_p is 2"},
	} {
		_, err := g.Generate(t.Context(), c.prompt, c.s, nil)
		wants(t, err, c.part)
	}
}

// Weights that are no numbers are an error and not a text.
func TestGenerateFromDamagedWeights(t *testing.T) {
	m := golden(t, "tied")
	m.Weights["model.norm.weight"].Data[3] = float32(math.NaN())
	_, err := model.NewGenerator(m, nil, nil).Generate(t.Context(), []int32{1, 2}, model.Sampling{Greedy: true, MaxNewTokens: 3}, nil)
	wants(t, err, "no finite numbers", "after 2 tokens")
}
