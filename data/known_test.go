package data_test

import (
	"slices"
	"strings"
	"testing"

	"gotune/data"
)

// Faults that other trainers have had, each with the test that would catch it.

// Where padding is done with EOS, masking "all EOS" would keep the model from
// ever learning to stop. The EOS that ends an answer is a target, padding is
// not, whatever its id.
func TestPaddingWithEOSLeavesEOSATarget(t *testing.T) {
	path := write(t, "a.jsonl", `{"prompt":"a","completion":"b"}`+"\n"+`{"prompt":"a","completion":"bcdef"}`)
	for _, tok := range []byteTokenizer{{eos: "<|endoftext|>"}, {eos: "<|endoftext|>", pad: "<|endoftext|>"}} {
		d, err := data.Open(t.Context(), data.Config{Corpora: data.Files(path), EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: tok}})
		if err != nil {
			t.Fatal(err)
		}
		b := one(t, d, data.BatchConfig{BatchSize: 2, AccumulationSteps: 1})
		if b.IDs[10] != endOfText || b.IDs[31] != endOfText {
			t.Fatalf("padding is %d, not EOS", b.IDs[10])
		}
		n := 0
		for _, target := range b.Targets {
			if target == endOfText {
				n++
			}
		}
		if n != 2 || b.Targets[1] != endOfText {
			t.Errorf("EOS is %d times a target, want once in each of two rows", n)
		}
	}
}

// Some tokenizers merge the last token of a prompt with the first of the
// completion when they see the two as one string; the prompt's tokens are then
// no prefix of the row's, and a mask by their number is off by one.
func TestSeamOfPromptAndCompletion(t *testing.T) {
	path := write(t, "a.jsonl", `{"prompt":"say t","completion":"he end"}`)
	d, err := data.Open(t.Context(), data.Config{Corpora: data.Files(path), EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: merging{base}}})
	if err != nil {
		t.Fatal(err)
	}
	e := d.Example(0)
	prompt := merging{base}.Encode("say t")
	if e.Prompt != len(prompt) || !slices.Equal(e.IDs[:e.Prompt], prompt) {
		t.Errorf("the row begins with %v, the prompt is %v", e.IDs[:e.Prompt], prompt)
	}
	if i := slices.Index(e.Target, true); i != e.Prompt {
		t.Errorf("the first target is token %d, want %d", i, e.Prompt)
	}
	if f := d.Report().Findings; len(f) != 1 || f[0].Name != data.Seam || f[0].Stops || !strings.HasSuffix(f[0].Text, "a.jsonl:1") {
		t.Errorf("findings: %+v", f)
	}
}

// merging has one token more, for "th".
type merging struct{ byteTokenizer }

const th = 300

func (m merging) Encode(text string) (ids []int32) {
	for i, part := range strings.Split(text, "th") {
		if i > 0 {
			ids = append(ids, th)
		}
		ids = append(ids, m.byteTokenizer.Encode(part)...)
	}
	return ids
}

// A mean of means would weigh the tokens of a short micro-batch more. The
// count that the loss is divided by is that of the whole step, so each target
// has the same weight in whatever micro-batch it lies.
func TestEveryTargetOfAStepWeighsTheSame(t *testing.T) {
	path := write(t, "a.jsonl", jsonRows([]int{1, 1, 1, 1}, []int{1, 2, 3, 30}))
	for _, c := range []data.BatchConfig{
		{BatchSize: 4, AccumulationSteps: 1},
		{BatchSize: 1, AccumulationSteps: 4},
		{BatchSize: 3, AccumulationSteps: 2},
		{BatchSize: 2, AccumulationSteps: 2, Packing: true},
	} {
		_, b := batches(t, path, 64, c)
		p := b.Plan(0)
		var batch data.Batch
		sum := 0
		for micro := range p.Step(0).MicroBatches() {
			p.Step(0).Fill(&batch, micro)
			sum += batch.TargetTokens
		}
		if want := 2 + 3 + 4 + 31; p.Steps() != 1 || int(p.Step(0).Weight()) != want || sum != want {
			t.Errorf("%+v: %d steps, %d targets announced, %d seen, want 1, %d, %[5]d", c, p.Steps(), int(p.Step(0).Weight()), sum, want)
		}
	}
}

// Cutting an answer teaches to stop in the middle of it, or never to stop: a
// row that is too long is left out whole, and said.
func TestLongRowsAreDroppedWhole(t *testing.T) {
	rows := `{"prompt":"p","completion":"short"}` + "\n" +
		`{"prompt":"p","completion":"` + strings.Repeat("long", 20) + `"}` + "\n" +
		`{"prompt":"` + strings.Repeat("long", 20) + `","completion":"c"}`
	d, err := open(t, write(t, "a.jsonl", rows), data.Dropped)
	if err != nil {
		t.Fatal(err)
	}
	if d.Len() != 1 || d.Report().Dropped != 2 || d.Report().DroppedTokens != 82+82 {
		t.Errorf("%d examples, report %+v", d.Len(), d.Report())
	}
}
