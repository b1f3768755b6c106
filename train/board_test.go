package train

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"gotune/internal/tensorboard"
)

// An event is what TensorBoard reads: a number or a text under a tag.
type event struct {
	step  int
	tag   string
	value float32
	text  string
}

// events reads the event file of a run.
func events(t *testing.T, run string) []event {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(run, boardName, tensorboard.FileName))
	if err != nil {
		t.Fatal(err)
	}
	var all []event
	for len(raw) > 0 {
		n := int(binary.LittleEndian.Uint64(raw))
		step := 0
		var summary []byte
		fields(t, raw[12:12+n], func(f protowire.Number, number uint64, content []byte) {
			switch f {
			case 2:
				step = int(number)
			case 5:
				summary = content
			}
		})
		fields(t, summary, func(_ protowire.Number, _ uint64, value []byte) {
			e := event{step: step}
			fields(t, value, func(f protowire.Number, number uint64, content []byte) {
				switch f {
				case 1:
					e.tag = string(content)
				case 2:
					e.value = math.Float32frombits(uint32(number))
				case 8:
					e.text = string(content)
				}
			})
			all = append(all, e)
		})
		raw = raw[12+n+4:]
	}
	return all
}

// fields walks over the fields of a message.
func fields(t *testing.T, b []byte, each func(f protowire.Number, number uint64, content []byte)) {
	t.Helper()
	for len(b) > 0 {
		f, kind, n := protowire.ConsumeTag(b)
		b = b[max(n, 0):]
		var number uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			number = uint64(v)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(b)
		default:
			content, n = protowire.ConsumeBytes(b)
		}
		if n < 0 {
			t.Fatalf("a broken message: %v", protowire.ParseError(n))
		}
		each(f, number, content)
		b = b[n:]
	}
}

// sameAsMetrics checks that the event file holds the steps of metrics.jsonl, each
// once and with the same numbers.
func sameAsMetrics(t *testing.T, run string) {
	t.Helper()
	var got []event
	for _, e := range events(t, run) {
		if e.tag == "train/loss" {
			got = append(got, e)
		}
	}
	want := losses(t, run)
	if len(got) != len(want) {
		t.Fatalf("the event file has %d steps, metrics.jsonl %d", len(got), len(want))
	}
	for i, e := range want {
		if got[i].step != e.Step || got[i].value != float32(e.Loss) {
			t.Errorf("event %d: step %d, loss %v, want %d, %v", i, got[i].step, got[i].value, e.Step, e.Loss)
		}
	}
}

// An event file holds the recipe, every step, the evaluations and the sample
// answers.
func TestBoard(t *testing.T) {
	r := tinyRecipe(t)
	r.EvalData, r.EvalSteps = r.Data, 5
	run, _ := runRecipe(t, r)
	sameAsMetrics(t, run)
	var evaluated []int
	texts := make(map[string]string)
	for _, e := range events(t, run) {
		switch {
		case e.tag == "eval/loss":
			evaluated = append(evaluated, e.step)
		case e.text != "":
			texts[e.tag] += e.text
		}
	}
	if want := []int{0, 5, 10}; !slices.Equal(evaluated, want) {
		t.Errorf("evaluated after %v, want %v", evaluated, want)
	}
	if !strings.Contains(texts["recipe"], "max_steps: 10") || !strings.Contains(texts["eval/answers"], "| What is") {
		t.Errorf("texts: %q", texts)
	}
}

func TestNoBoard(t *testing.T) {
	r := tinyRecipe(t)
	r.ReportTo = "none"
	run, _ := runRecipe(t, r)
	if _, err := os.Stat(filepath.Join(run, boardName)); !os.IsNotExist(err) {
		t.Errorf("report_to none left a folder: %v", err)
	}
}

// A run that is stopped and goes on has each step once, also where a killed
// process left a part of an event, and where the event file was taken away the
// steps from there on.
func TestBoardOfResumedRun(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		first  int
	}{
		"as it was": {func(string) error { return nil }, 1},
		"half an event": {func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.Write([]byte{40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3})
			}
			if err != nil {
				return err
			}
			return f.Close()
		}, 1},
		"no file": {os.Remove, 7},
	} {
		run := stopAt(t, tinyRecipe(t), 6)
		if err := c.change(filepath.Join(run, boardName, tensorboard.FileName)); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(context.Background(), run, 0, &silent{}); err != nil {
			t.Fatal(err)
		}
		if c.first == 1 {
			sameAsMetrics(t, run)
		}
		var steps []int
		recipes := 0
		for _, e := range events(t, run) {
			switch e.tag {
			case "train/loss":
				steps = append(steps, e.step)
			case "recipe":
				recipes++
			}
		}
		want := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}[c.first-1:]
		if !slices.Equal(steps, want) || recipes != 1 {
			t.Errorf("%s: steps %v and %d recipes, want %v and 1", name, steps, recipes, want)
		}
	}
}
