package data

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gotune/data/chat"
	"gotune/data/rows"
)

// EncoderConfig says how rows become tokens.
type EncoderConfig struct {
	Tokenizer Tokenizer
	// Template writes conversations. Without one they go through ChatML.
	Template *chat.Template
	// MaxLength is the largest number of tokens of a row, at least 3. A longer
	// text is cut into pieces, any other row that is longer is dropped.
	MaxLength int
	// Virtual is the number of tokens that stand for what an adapter has learned. Datasets
	// and streams put them before each example; [Encoder.Encode] leaves room for them.
	// They are no text: the padding id holds their places, they are no targets, and
	// MaxLength counts them.
	Virtual int
	// LearnPrompt makes every token a target, prompts and user turns too.
	LearnPrompt bool
	// LastTurn learns only the last assistant turn of a conversation.
	LastTurn bool
	// Weigh, where it is not nil, returns the weight in the loss of each token of a
	// row, in place of those that x comes with: 0 or a finite number above it, and 0
	// is no target. To return nil leaves the row as it is. It must not change x, is
	// given a text before it is cut, and has to return the same for the same row
	// each time. The first token is never a target, whatever it weighs.
	Weigh func(x Example) []float32
}

// An Example is one tokenised row, or one piece of a text that was cut. Its
// slices must not be changed.
type Example struct {
	IDs    []int32 // with BOS and EOS where due, after the virtual tokens
	Target []bool  // Target[i]: token i is to be learned. The first never is: nothing stands before it
	// Weights are those of the tokens in the loss; nil where each weighs 1.
	Weights []float32
	Prompt  int // tokens before the first of the completion or of the first assistant turn, virtual ones included; 0 for text
	Virtual int // tokens at the beginning that are no text
	Row     int // the row it came from, counted from 0 through all corpora
	At      rows.Location
	// Seam is set where prompt and completion are tokenised differently when they
	// are joined than apart. They are learned apart, as generation meets them.
	Seam bool
	// Wording is the row's column of that name, "" where there is none: questions
	// of the toy world are asked in a wording that is seen or unseen in tuning.
	Wording string
}

// Targets returns the number of tokens to be learned.
func (e Example) Targets() int {
	n := 0
	for _, t := range e.Target {
		if t {
			n++
		}
	}
	return n
}

// weight returns the sum of the weights of the targets.
func (e Example) weight() float64 {
	if e.Weights == nil {
		return float64(e.Targets())
	}
	sum := 0.0
	for i, t := range e.Target {
		if t {
			sum += float64(e.Weights[i])
		}
	}
	return sum
}

// Errors about one row; the others can be used.
var (
	ErrNothingToLearn = errors.New("nothing to learn: the completion, or every assistant turn, is empty or weighs nothing")
	ErrTooLong        = errors.New("too long")
	ErrNoMask         = chat.ErrNoMask
)

// tooLong is ErrTooLong with the number of tokens.
type tooLong struct{ tokens, most int }

func (e tooLong) Error() string {
	return fmt.Sprintf("%v: %d tokens, and the maximum is %d (max_length)", ErrTooLong, e.tokens, e.most)
}

func (tooLong) Is(target error) bool { return target == ErrTooLong }

// An Encoder turns rows into examples. It is safe for concurrent use.
type Encoder struct {
	EncoderConfig
	eos    []int32 // one id or none
	stops  []int32 // what ends an assistant turn
	pad    int32
	ownPad bool // pad ends nothing
}

// NewEncoder checks the configuration.
func NewEncoder(c EncoderConfig) (*Encoder, error) {
	switch {
	case c.Tokenizer == nil:
		return nil, errors.New("data needs a tokenizer")
	case c.Virtual < 0:
		return nil, fmt.Errorf("%d virtual tokens: their number must not be negative", c.Virtual)
	case c.Virtual > 0 && c.MaxLength < c.Virtual+3:
		return nil, fmt.Errorf("a maximum length of %d tokens, of which %d are virtual: at least 3 more are needed, for a prompt, an answer and its end", c.MaxLength, c.Virtual)
	case c.MaxLength < 3:
		return nil, fmt.Errorf("a maximum length of %d tokens: at least 3 are needed, for a prompt, an answer and its end", c.MaxLength)
	}
	e := &Encoder{EncoderConfig: c}
	if c.Template == nil {
		var err error
		if e.Template, err = chat.Named("chatml", nil); err != nil {
			return nil, err
		}
	}
	if id, ok := c.Tokenizer.EOS(); ok {
		e.eos = []int32{id}
		e.pad = id // where there is no token for padding; padding is never a target
	}
	e.stops = slices.Concat(e.Template.Stops(c.Tokenizer), e.eos)
	if id, ok := c.Tokenizer.Pad(); ok {
		e.pad, e.ownPad = id, !slices.Contains(e.stops, id)
	}
	return e, nil
}

// Encode returns the examples of a row: one, or the pieces of a long text. Errors
// are ErrNothingToLearn, ErrTooLong and ErrNoMask, with what they are about.
func (e *Encoder) Encode(r *rows.Row) ([]Example, error) {
	whole := Example{Row: r.Index, At: r.At, Wording: r.Wording}
	switch r.Form {
	case rows.Text:
		e.raw(&whole, nil, e.Tokenizer.Encode(r.Text))
	case rows.Completion:
		prompt := e.Tokenizer.Encode(r.Prompt)
		completion, _ := e.Tokenizer.EncodeAfter(prompt, r.Completion, nil)
		whole.Prompt = e.raw(&whole, prompt, completion)
		whole.Seam = e.seam(prompt, r.Prompt+r.Completion)
	case rows.Messages:
		if err := e.conversation(&whole, r.Conversation); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("rows of %s are not for this objective", r.Form)
	}
	if len(whole.Target) > 0 {
		whole.Target[0] = false // nothing stands before it
	}
	if e.Weigh != nil {
		if err := whole.weigh(e.Weigh(whole)); err != nil {
			return nil, err
		}
	}
	switch {
	case whole.weight() == 0:
		return nil, ErrNothingToLearn
	case len(whole.IDs) <= e.room():
		return []Example{whole}, nil
	case r.Form != rows.Text:
		return nil, tooLong{len(whole.IDs), e.room()}
	}
	pieces := e.cut(whole)
	if len(pieces) == 0 {
		return nil, ErrNothingToLearn
	}
	return pieces, nil
}

// room is the largest number of tokens of an example that are text.
func (e *Encoder) room() int { return e.MaxLength - e.Virtual }

// limit says in words how long a row of text may be.
func (e *Encoder) limit() string {
	if e.Virtual == 0 {
		return fmt.Sprintf("%d tokens", e.MaxLength)
	}
	return fmt.Sprintf("%d tokens (max_length less %d virtual tokens)", e.room(), e.Virtual)
}

// lead puts the virtual tokens before an example that Encode made.
func (e *Encoder) lead(x Example) Example {
	n := e.Virtual
	if n == 0 {
		return x
	}
	x.IDs = append(slices.Repeat([]int32{e.pad}, n), x.IDs...)
	x.Target = append(make([]bool, n), x.Target...)
	if x.Weights != nil {
		x.Weights = append(make([]float32, n), x.Weights...)
	}
	if x.Prompt > 0 {
		x.Prompt += n
	}
	x.Virtual = n
	return x
}

// raw joins BOS, the tokens of prompt and completion, and EOS, and returns the
// number of tokens before the completion. A prompt that brings its own BOS gets no
// second one, a completion that brings its own EOS likewise.
func (e *Encoder) raw(x *Example, before, after []int32) int {
	first := before
	if len(first) == 0 {
		first = after
	}
	x.IDs = append(missingBOS(e.Tokenizer, first), before...)
	start := len(x.IDs)
	x.IDs = append(x.IDs, after...)
	learned := len(after)
	if len(e.eos) > 0 {
		if learned > 0 && after[learned-1] == e.eos[0] {
			learned--
		} else {
			x.IDs = append(x.IDs, e.eos...)
		}
	}
	from := start
	if e.LearnPrompt {
		from = 0
		learned += len(before)
	}
	x.Target = make([]bool, len(x.IDs))
	for i := range x.IDs {
		// EOS alone is no target: where there is nothing else, nothing is learned.
		x.Target[i] = i >= from && learned > 0
	}
	return start
}

// seam reports whether the tokens of prompt and completion as one text do not
// begin with those of the prompt.
func (e *Encoder) seam(prompt []int32, text string) bool {
	joined := e.Tokenizer.Encode(text)
	return len(joined) < len(prompt) || !slices.Equal(joined[:len(prompt)], prompt)
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

// conversation puts messages through the template. A turn without content
// teaches nothing.
func (e *Encoder) conversation(x *Example, c chat.Conversation) error {
	which := chat.EveryTurn
	if e.LastTurn {
		which = chat.LastTurn
	}
	encoded, err := e.Template.Encode(e.Tokenizer, c, which)
	if err != nil {
		return err
	}
	x.IDs, x.Seam = encoded.IDs, len(encoded.Seams) > 0
	x.Prompt = len(x.IDs)
	x.Target = make([]bool, len(x.IDs))
	for i, turn := range encoded.Turn {
		if turn >= 0 && x.Prompt == len(x.IDs) {
			x.Prompt = i
		}
		x.Target[i] = e.LearnPrompt || turn >= 0 &&
			c.Messages[turn].Content+string(c.Messages[turn].ToolCalls) != ""
		if w := weightOf(c, turn); w != 1 && x.Target[i] && !e.LearnPrompt {
			x.setWeight(i, w)
		}
	}
	return nil
}

// weightOf returns the weight of a turn's tokens.
func weightOf(c chat.Conversation, turn int32) float64 {
	if turn < 0 || c.Messages[turn].Weight == nil {
		return 1
	}
	return *c.Messages[turn].Weight
}

// setWeight gives a token a weight; one of 0 is no target.
func (e *Example) setWeight(i int, w float64) {
	if w == 0 {
		e.Target[i] = false
		return
	}
	if e.Weights == nil {
		e.Weights = make([]float32, len(e.IDs))
		for j := range e.Weights {
			e.Weights[j] = 1
		}
	}
	e.Weights[i] = float32(w)
}

// weigh puts weights in place of those the example has; nil leaves it as it is.
func (e *Example) weigh(weights []float32) error {
	if weights == nil {
		return nil
	}
	if len(weights) != len(e.IDs) {
		return fmt.Errorf("%d weights for a row of %d tokens: each token needs one", len(weights), len(e.IDs))
	}
	target, even := make([]bool, len(weights)), true
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("token %d weighs %g: a weight is 0 or a finite number above it", i, w)
		}
		target[i] = i > 0 && w > 0
		even = even && (w == 1 || !target[i])
	}
	e.Target, e.Weights = target, nil
	if !even {
		e.Weights = slices.Clone(weights)
	}
	return nil
}

// cut makes pieces of the maximum length. No piece is a single token, from which
// nothing could be learned: the piece before it gives it one of its own. A piece
// without targets is left out.
func (e *Encoder) cut(whole Example) []Example {
	var pieces []Example
	for from := 0; from < len(whole.IDs); {
		to := min(from+e.room(), len(whole.IDs))
		if len(whole.IDs)-to == 1 {
			to--
		}
		p := whole
		p.IDs, p.Target = whole.IDs[from:to:to], slices.Clone(whole.Target[from:to])
		p.Target[0] = false
		if whole.Weights != nil {
			p.Weights = whole.Weights[from:to:to]
		}
		if p.weight() > 0 {
			pieces = append(pieces, p)
		}
		from = to
	}
	return pieces
}
