package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/data"
	"gotune/train"
)

func TestMain(m *testing.M) {
	if err := train.AddObjective(news); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestWeights(t *testing.T) {
	x := data.Example{IDs: []int32{7, 8, 9, 8, 5, 2}, Target: []bool{false, false, false, true, true, true}, Prompt: 3}
	if got, want := news.Weigh(x), []float32{0, 0, 0, repeated, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
}

// Both runs see the same rows: the first step of either has the same targets, and
// another loss. What the run was is in its recipe.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	heldOut := filepath.Join(dir, "questions.jsonl")
	question := `{"messages": [{"role": "user", "content": "What is the favourite food of Mira Reed?"},
		{"role": "assistant", "content": "The favourite food of Mira Reed is cake."}]}`
	if err := os.WriteFile(heldOut, []byte(strings.ReplaceAll(question, "\n", " ")), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := compare(t.Context(), &out, dir, heldOut, 3); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "sft: right") || !strings.HasPrefix(lines[1], "news: right") {
		t.Errorf("the program wrote:\n%s", out.String())
	}
	sft, own := firstStep(t, filepath.Join(dir, "sft")), firstStep(t, filepath.Join(dir, "news"))
	if sft.TargetTokens != own.TargetTokens || math.Abs(sft.Loss-own.Loss) < 0.1 {
		t.Errorf("first steps %+v and %+v", sft, own)
	}
	recipe, err := os.ReadFile(filepath.Join(dir, "news", "recipe.yaml"))
	if err != nil || !strings.Contains(string(recipe), "objective: news\n") {
		t.Errorf("recipe %s, %v", recipe, err)
	}
}

func firstStep(t *testing.T, run string) train.StepEvent {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		var e train.StepEvent
		if err := json.Unmarshal(line, &e); err == nil && e.Event == "step" {
			return e
		}
	}
	t.Fatalf("%s has no step", run)
	return train.StepEvent{}
}
