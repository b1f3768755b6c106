package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
)

// postProcessors read which tokens an entry in tokenizer.json puts around a text.
// Those for a second text are left alone.
var postProcessors = map[string]func(component) (before, after []int32, err error){
	"ByteLevel":          func(component) (_, _ []int32, _ error) { return }, // moves offsets only
	"TemplateProcessing": templateProcessor,
	"BertProcessing":     pairProcessor,
	"RobertaProcessing":  pairProcessor,
}

func (t *Tokenizer) readPostProcessor(raw json.RawMessage) error {
	parts, err := components("post_processor", raw, "processors")
	if err != nil {
		return err
	}
	for _, c := range parts {
		read, err := find(c, postProcessors)
		if err != nil {
			return err
		}
		before, after, err := read(c)
		if err != nil {
			return err
		}
		t.before = slices.Concat(before, t.before)
		t.after = slices.Concat(t.after, after)
	}
	return nil
}

func templateProcessor(c component) (before, after []int32, err error) {
	type named struct {
		ID string `json:"id"`
	}
	var j struct {
		Single []struct {
			Sequence     *named
			SpecialToken *named
		} `json:"single"`
		Special map[string]struct {
			IDs []int32 `json:"ids"`
		} `json:"special_tokens"`
	}
	if err := c.read(&j); err != nil {
		return nil, nil, err
	}
	into, texts := &before, 0
	for _, piece := range j.Single {
		switch {
		case piece.Sequence != nil && piece.Sequence.ID == "A":
			into = &after
			texts++
		case piece.SpecialToken != nil:
			token, ok := j.Special[piece.SpecialToken.ID]
			if !ok || len(token.IDs) == 0 {
				return nil, nil, c.errorf("the token %q is not among special_tokens", piece.SpecialToken.ID)
			}
			*into = append(*into, token.IDs...)
		default:
			return nil, nil, c.errorf("single: a part is neither the text A nor a special token")
		}
	}
	if texts != 1 {
		return nil, nil, c.errorf("single: the text A stands in it %d times", texts)
	}
	return before, after, nil
}

// pairProcessor reads the tokens that BERT and RoBERTa put around a text.
func pairProcessor(c component) (before, after []int32, err error) {
	var j struct{ Sep, Cls *namedID }
	if err := c.read(&j); err != nil {
		return nil, nil, err
	}
	if j.Sep == nil || j.Cls == nil {
		return nil, nil, c.errorf("sep and cls are needed, each a token with its id")
	}
	return []int32{j.Cls.id}, []int32{j.Sep.id}, nil
}

// namedID is a token with its id: ["[CLS]", 101].
type namedID struct {
	text string
	id   int32
}

func (n *namedID) UnmarshalJSON(b []byte) error { return readPair(b, &n.text, &n.id) }

// readPair reads a list of two.
func readPair(b []byte, first, second any) error {
	pair := []any{first, second} // pointers, which are filled
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	if len(pair) != 2 || pair[0] == nil || pair[1] == nil {
		return fmt.Errorf("%s is no pair", b)
	}
	return nil
}
