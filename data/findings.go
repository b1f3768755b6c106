package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gotune/data/rows"
)

// A Finding is something about the data that a person should know before a model
// is trained on it.
type Finding struct {
	Name  string `json:"name"` // short and stable; it can be allowed by this name
	Text  string `json:"text"`
	Stops bool   `json:"stops"` // nothing sensible would be learned: training stops unless it is allowed
	Warns bool   `json:"warns"` // what the run ends with, or its scores, mean little
}

// The names of findings.
const (
	NoEOS         = "no-eos"         // what ends an answer is never learned: stops
	PadIsTarget   = "pad-is-target"  // the padding token is learned; stops above a tenth of the targets
	Empty         = "empty"          // more than a tenth of the rows has nothing to learn: stops
	Refused       = "refused"        // of some rows the mask cannot be found; stops above a tenth
	Dropped       = "dropped"        // more than a tenth of the rows is too long; stops above half of the tokens
	Cut           = "cut"            // more than half of the texts is cut into pieces
	Seam          = "seam"           // prompt and completion tokenise differently joined than apart
	Duplicates    = "duplicates"     // a hundredth or more of the rows stands there before
	FewTargets    = "few-targets"    // less than a thousandth of the tokens is learned
	Overlap       = "overlap"        // held-out rows are rows of the training data too
	PromptOverlap = "prompt-overlap" // held-out prompts are prompts of the training data too
)

// FindingNames lists the names of all findings.
func FindingNames() []string {
	return []string{NoEOS, PadIsTarget, Empty, Refused, Dropped, Cut, Seam, Duplicates, FewTargets, Overlap, PromptOverlap}
}

// CheckNames returns an error about the first name that no finding has.
func CheckNames(names []string) error {
	for _, n := range names {
		if !slices.Contains(FindingNames(), n) {
			return fmt.Errorf("there is no finding %q; the findings are %s", n, strings.Join(FindingNames(), ", "))
		}
	}
	return nil
}

// ErrFinding is what the errors of findings that stop are (errors.Is).
var ErrFinding = errors.New("the data cannot be learned from")

// A refusal is the error of findings that stop.
type refusal []Finding

func (refusal) Is(target error) bool { return target == ErrFinding }

func (r refusal) Error() string {
	var lines []string
	for _, f := range r {
		lines = append(lines, fmt.Sprintf("%s (to go on all the same: --allow %s)", f.Text, f.Name))
	}
	return strings.Join(lines, "\n  ")
}

// Refuse returns an error about the findings that stop and are not allowed by
// name, which is an ErrFinding, or nil where there are none.
func Refuse(findings []Finding, allow []string) error {
	var r refusal
	for _, f := range findings {
		if f.Stops && !slices.Contains(allow, f.Name) {
			r = append(r, f)
		}
	}
	if r == nil {
		return nil
	}
	return r
}

// An ending counts the rows of a kind, and those of which the end is learned.
type ending struct{ Rows, Learned int }

// A census is what findings are made of besides the report.
type census struct {
	Raw, Messages ending
	NoEOS         bool   // a corpus of raw text was met by a tokenizer without EOS
	NoStop        string // the chat template of which no token ends a turn

	Pads     int // targets that are the padding token
	FirstPad []rows.Location
	Texts    int // rows of the form text
}

// count looks at the examples of a row.
func (c *census) count(r *rows.Row, e *Encoder, examples []Example) {
	kind, ends := &c.Raw, e.eos
	if r.Form == rows.Messages {
		kind, ends = &c.Messages, e.stops
	}
	if r.Form == rows.Text {
		c.Texts++
	}
	kind.Rows++
	learned, pads := false, 0
	for _, x := range examples {
		for i, target := range x.Target {
			if target {
				learned = learned || slices.Contains(ends, x.IDs[i])
				if x.IDs[i] == e.pad && e.ownPad {
					pads++
				}
			}
		}
	}
	if learned {
		kind.Learned++
	}
	if pads > 0 {
		c.Pads += pads
		note(&c.FirstPad, r.At)
	}
	if r.Form == rows.Messages && len(ends) == 0 {
		c.NoStop = e.Template.Name()
	}
	c.NoEOS = c.NoEOS || r.Form != rows.Messages && len(ends) == 0
}

// findings judges a report. In held-out data, from which nothing is learned, what
// would keep a model from learning does not stop.
func (c *census) findings(r *Report, room string, heldOut bool) []Finding {
	var all []Finding
	add := func(name string, stops bool, format string, args ...any) {
		all = append(all, Finding{Name: name, Text: fmt.Sprintf(format, args...), Stops: stops, Warns: stops})
	}
	learning := !heldOut
	switch {
	case c.NoEOS && c.Raw.Learned == 0:
		add(NoEOS, learning, "the tokenizer's files name no EOS token: what is learned has no end, and generation will not stop by itself")
	case c.NoStop != "" && c.Messages.Learned == 0:
		add(NoEOS, learning, "no single token of the tokenizer ends an assistant turn of the chat template %s: generation will not stop by itself", c.NoStop)
	case c.Messages.Rows > 0 && c.Messages.Learned == 0:
		add(NoEOS, learning, "the token that ends an answer is learned in none of %d rows: generation will not stop by itself; the chat template plain ends answers by EOS (--chat-template plain)", c.Messages.Rows)
	case c.Raw.Rows > 0 && c.Raw.Learned == 0:
		add(NoEOS, learning, "the token that ends an answer is learned in none of %d rows: generation will not stop by itself", c.Raw.Rows)
	}
	if c.Pads > 0 {
		add(PadIsTarget, learning && 10*c.Pads > r.TargetTokens, "the padding token stands in the text and is learned, %d times in %d targets: %s",
			c.Pads, r.TargetTokens, places(c.FirstPad, c.Pads))
	}
	if 10*r.Empty > r.Rows {
		add(Empty, true, "%d of %d rows (%.1f %%) have an empty completion and would be skipped, more than a tenth: %s",
			r.Empty, r.Rows, percent(r.Empty, r.Rows), places(r.FirstEmpty, r.Empty))
	}
	switch {
	case 10*r.Refused > r.Rows:
		add(Refused, true, "of %d of %d rows (%.1f %%) it cannot be told what the assistant wrote, more than a tenth: %s: %s",
			r.Refused, r.Rows, percent(r.Refused, r.Rows), places(r.FirstRefused, r.Refused), r.WhyRefused)
	case r.Refused > 0:
		add(Refused, false, "%d of %d rows are left out because it cannot be told what the assistant wrote: %s: %s",
			r.Refused, r.Rows, places(r.FirstRefused, r.Refused), r.WhyRefused)
	}
	switch {
	case r.DroppedTokens > r.Tokens:
		add(Dropped, learning, "%.1f %% of the tokens are lost: %d of %d rows are longer than %s and are left out; raise max_length, or split them: %s",
			percent(r.DroppedTokens, r.Tokens+r.DroppedTokens), r.Dropped, r.Rows, room, places(r.FirstDropped, r.Dropped))
	case 10*r.Dropped > r.Rows:
		add(Dropped, false, "%d of %d rows (%.1f %%) are longer than %s and are left out: %s",
			r.Dropped, r.Rows, percent(r.Dropped, r.Rows), room, places(r.FirstDropped, r.Dropped))
	}
	if 2*r.Cut > c.Texts {
		add(Cut, false, "%d of %d texts are longer than %s and are cut into pieces, each learned without what stands before it", r.Cut, c.Texts, room)
	}
	if r.Seams > 0 {
		add(Seam, false, "in %d of %d rows prompt and completion tokenise differently joined than apart; they are learned apart, as generation meets them: %s",
			r.Seams, r.Rows, places(r.FirstSeams, r.Seams))
	}
	if 100*r.Duplicates >= r.Kept && r.Duplicates > 0 {
		add(Duplicates, false, "%d of %d rows (%.1f %%) stand there before, token for token: %s",
			r.Duplicates, r.Kept, percent(r.Duplicates, r.Kept), places(r.FirstDuplicates, r.Duplicates))
	}
	if learning && 1000*r.TargetTokens < r.Tokens {
		add(FewTargets, false, "only %d of %d tokens (%.3f %%) are learned", r.TargetTokens, r.Tokens, percent(r.TargetTokens, r.Tokens))
	}
	return all
}
