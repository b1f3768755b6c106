package data

import (
	"errors"
	"fmt"
	"slices"
)

// A builder tokenises rows into a dataset.
type builder struct {
	config Config
	chat   *ChatML
	eos    []int32 // one id or none
	data   *Dataset
	report *Report

	ids    []int32 // of the row at hand
	target []bool
	sawRaw bool
	sawMsg bool
}

func newBuilder(c Config) *builder {
	d := &Dataset{maxLength: c.MaxLength}
	b := &builder{config: c, chat: NewChatML(c.Tokenizer), data: d, report: &d.report}
	if id, ok := c.Tokenizer.EOS(); ok {
		b.eos = []int32{id}
		d.pad = id // where there is no token for padding; padding is never a target
	}
	if id, ok := c.Tokenizer.Pad(); ok {
		d.pad = id
	}
	return b
}

// add tokenises a row and keeps, cuts, skips or drops it.
func (b *builder) add(r *row) {
	b.report.Rows++
	b.ids, b.target = b.ids[:0], b.target[:0]
	var prompt int
	switch r.form {
	case textForm:
		b.raw("", r.text)
		b.sawRaw = true
	case completionForm:
		prompt = b.raw(r.prompt, r.completion)
		b.sawRaw = true
	case messagesForm:
		prompt = b.conversation(r.messages)
		b.sawMsg = true
	}
	if len(b.target) > 0 {
		b.target[0] = false // nothing stands before it
	}
	switch {
	case !slices.Contains(b.target, true):
		b.report.Empty++
		note(&b.report.FirstEmpty, r.at)
		return
	case len(b.ids) > b.config.MaxLength && r.form != textForm:
		b.report.Dropped++
		note(&b.report.FirstDropped, r.at)
		return
	case len(b.ids) > b.config.MaxLength:
		b.report.Cut++
	}
	b.report.Kept++
	b.keep(prompt, r)
}

// raw joins BOS, prompt, completion and EOS, each tokenised by itself, and
// returns the number of tokens before the completion. A prompt that brings its
// own BOS gets no second one, a completion that brings its own EOS likewise.
func (b *builder) raw(prompt, completion string) int {
	before, after := b.config.Tokenizer.Encode(prompt), b.config.Tokenizer.Encode(completion)
	first := before
	if len(first) == 0 {
		first = after
	}
	b.ids = append(b.ids, missingBOS(b.config.Tokenizer, first)...)
	b.ids = append(b.ids, before...)
	start := len(b.ids)
	b.ids = append(b.ids, after...)
	learned := len(after)
	if len(b.eos) > 0 {
		if learned > 0 && after[learned-1] == b.eos[0] {
			learned--
		} else {
			b.ids = append(b.ids, b.eos...)
		}
	}
	from := start
	if b.config.LearnPrompt {
		from = 0
		learned += len(before)
	}
	for i := range b.ids {
		// EOS alone is no target: where there is nothing else, nothing is learned.
		b.target = append(b.target, i >= from && learned > 0)
	}
	return start
}

// EncodePrompt returns the ids of a raw prompt as training met them: BOS first
// where the tokenizer's files ask for it and the prompt does not bring it.
func EncodePrompt(t Tokenizer, prompt string) []int32 {
	ids := t.Encode(prompt)
	return append(missingBOS(t, ids), ids...)
}

// missingBOS returns BOS where it is asked for and ids do not begin with it.
func missingBOS(t Tokenizer, ids []int32) []int32 {
	bos, ok := t.BOS()
	if !ok || !t.AddsBOS() || len(ids) > 0 && ids[0] == bos {
		return nil
	}
	return []int32{bos}
}

// conversation puts messages through the template and returns the number of
// tokens before the first that an assistant wrote.
func (b *builder) conversation(messages []Message) (prompt int) {
	b.ids, b.target = b.chat.Encode(messages)
	if prompt = slices.Index(b.target, true); prompt < 0 {
		prompt = len(b.target)
	}
	if b.config.LearnPrompt {
		for i := range b.target {
			b.target[i] = true
		}
	}
	return prompt
}

// keep puts the row at hand into the dataset, in pieces of the maximum length.
// No piece is a single token, from which nothing could be learned: the piece
// before it gives it one of its own.
func (b *builder) keep(prompt int, r *row) {
	for from := 0; from < len(b.ids); {
		to := min(from+b.config.MaxLength, len(b.ids))
		if len(b.ids)-to == 1 {
			to--
		}
		s := span{start: len(b.data.ids), row: r.index, prompt: prompt, wording: r.wording}
		b.data.ids = append(b.data.ids, b.ids[from:to]...)
		b.data.target = append(b.data.target, b.target[from:to]...)
		b.data.target[s.start] = false
		s.end = len(b.data.ids)
		for _, t := range b.data.target[s.start:] {
			if t {
				s.targets++
			}
		}
		b.data.spans = append(b.data.spans, s)
		b.report.TargetTokens += s.targets
		from = to
	}
}

// note keeps the first few places.
func note(list *[]Location, at Location) {
	if len(*list) < named {
		*list = append(*list, at)
	}
}

// finish completes the report and refuses data from which nothing sensible can
// be learned.
func (b *builder) finish() error {
	r := b.report
	r.Examples, r.Tokens, r.Lengths = len(b.data.spans), len(b.data.ids), lengthsOf(b.data.spans)
	if r.Kept == 0 {
		why := fmt.Sprintf("no row is left to learn from: of %d, %d have an empty completion", r.Rows, r.Empty)
		if r.Empty > 0 {
			why += " (" + places(r.FirstEmpty, r.Empty) + ")"
		}
		why += fmt.Sprintf(" and %d are longer than %d tokens", r.Dropped, b.config.MaxLength)
		if r.Dropped > 0 {
			why += " (" + places(r.FirstDropped, r.Dropped) + ")"
		}
		return errors.New(why)
	}
	if 10*r.Empty > r.Rows {
		return fmt.Errorf("%d of %d rows (%.1f %%) have an empty completion and would be skipped, more than a tenth: %s",
			r.Empty, r.Rows, percent(r.Empty, r.Rows), places(r.FirstEmpty, r.Empty))
	}
	if 10*r.Dropped > r.Rows {
		b.warn("%d of %d rows (%.1f %%) are longer than %d tokens and are left out: %s",
			r.Dropped, r.Rows, percent(r.Dropped, r.Rows), b.config.MaxLength, places(r.FirstDropped, r.Dropped))
	}
	if b.sawRaw && len(b.eos) == 0 {
		b.warn("the tokenizer's files name no EOS token: what is learned has no end, and generation will not stop by itself")
	}
	if _, ok := b.chat.Stop(); b.sawMsg && !ok {
		b.warn("the tokenizer has no tokens <|im_start|> and <|im_end|>: the marks of the chat template are ordinary text to it, and generation will not stop by itself")
	}
	return nil
}

func (b *builder) warn(format string, args ...any) {
	b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(format, args...))
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(whole) }
