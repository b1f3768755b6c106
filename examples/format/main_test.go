package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/data/rows"
	"gotune/train"
)

func TestMain(m *testing.M) {
	if err := rows.AddFormat(qa); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// What is no question and no answer is told with its line, and the others are read.
func TestRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.qa")
	text := "# a comment\nQ: one?\nA: 1\n\nA: 2\nQ: three?\nQ: four?\nA: 4\nQ: five?\nA: 5: V\n\nhello\nQ: six?\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	source, err := rows.Open(t.Context(), rows.Config{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range source.All(t.Context()) {
		if err != nil {
			got = append(got, strings.TrimPrefix(err.Error(), path))
			continue
		}
		turns := row.Conversation.Messages
		got = append(got, strings.TrimPrefix(row.At.String(), path)+" "+turns[0].Content+" "+turns[1].Content)
	}
	want := []string{
		":2 one? 1",
		":5: this is no question (Q:), and no answer (A:) to one",
		":6: a question (Q:) without an answer (A:)",
		":7 four? 4",
		":9 five? 5: V",
		":12: this is no question (Q:), and no answer (A:) to one",
		":13: a question (Q:) without an answer (A:)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows and errors\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The base learns the file by heart.
func TestTune(t *testing.T) {
	path, err := filepath.Abs("faq.qa")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // the run is made here
	var out bytes.Buffer
	if err := tune(t.Context(), &out, path); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"forty metres", "by the miller", "the pike", "is red"} {
		if !strings.Contains(out.String(), answer+".\n") {
			t.Errorf("%q is missing in\n%s", answer, out.String())
		}
	}
}

// stopper stops a run after a number of steps, as Ctrl-C does.
type stopper struct {
	train.Silent
	after int
	stop  context.CancelFunc
}

func (s stopper) Step(e train.StepEvent) {
	if e.Step == s.after {
		s.stop()
	}
}

// A run on a file of the format can be stopped and resumed, and ends with the same
// bytes.
func TestResume(t *testing.T) {
	r := recipe("faq.qa")
	r.MaxSteps, r.BatchSize, r.EvalData, r.Eval = 6, 3, nil, false
	adapter := func(done train.DoneEvent, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(done.Result, "adapter_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	r.Output = filepath.Join(t.TempDir(), "whole")
	whole := adapter(train.Run(t.Context(), r, nil))

	ctx, cancel := context.WithCancel(t.Context())
	r.Output = filepath.Join(t.TempDir(), "stopped")
	if _, err := train.Run(ctx, r, stopper{after: 4, stop: cancel}); !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("error %v, want ErrInterrupted", err)
	}
	if resumed := adapter(train.Resume(t.Context(), r.Output, 1, nil)); !bytes.Equal(whole, resumed) {
		t.Error("the resumed run ends with other bytes")
	}
}
