package rows

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Columns names the columns of a row. One of these sets is named, and the zero
// value leaves them to be found by the names shown:
//
//	Text                          text
//	Prompt, Completion            prompt, completion
//	Messages                      messages, or conversations
//	Instruction, Output           instruction, output; with Input (input) and
//	                              System (system), which rows may leave out
//	Chosen, Rejected              chosen, rejected; with Prompt (prompt), which
//	                              conversations may leave out
//
// Messages may have System and Tools beside it, found as system and tools. A
// name may be a path into nested values: instances.0.output is the output of
// the first of the instances. A column that has the whole name comes first.
type Columns struct {
	Text, Prompt, Completion, Messages string
	Instruction, Input, Output         string
	System, Tools                      string
	Chosen, Rejected                   string
}

// shorthands are lists that have a name of their own.
var shorthands = map[string]Columns{
	"alpaca":   {Instruction: "instruction", Input: "input", Output: "output"},
	"sharegpt": {Messages: "conversations"},
}

// A named column: the word of a list, and where its name is kept.
type named struct {
	word string
	name *string
}

func (c *Columns) all() []named {
	return []named{
		{"text", &c.Text}, {"prompt", &c.Prompt}, {"completion", &c.Completion}, {"messages", &c.Messages},
		{"instruction", &c.Instruction}, {"input", &c.Input}, {"output", &c.Output},
		{"system", &c.System}, {"tools", &c.Tools}, {"chosen", &c.Chosen}, {"rejected", &c.Rejected},
	}
}

// ParseColumns reads a list such as "prompt=question,completion=answer", or one
// of the words alpaca and sharegpt. The empty string is the zero Columns.
func ParseColumns(list string) (Columns, error) {
	var c Columns
	word := strings.TrimSpace(list)
	if word == "" {
		return c, nil
	}
	if short, ok := shorthands[word]; ok {
		return short, nil
	}
	for _, item := range strings.Split(list, ",") {
		word, name, ok := strings.Cut(item, "=")
		word, name = strings.TrimSpace(word), strings.TrimSpace(name)
		if !ok || name == "" {
			return Columns{}, fmt.Errorf("columns %q: %q is not KIND=COLUMN, as in prompt=question", list, item)
		}
		if err := c.set(word, name); err != nil {
			return Columns{}, fmt.Errorf("columns %q: %w", list, err)
		}
	}
	_, err := c.Form()
	return c, err
}

func (c *Columns) set(word, name string) error {
	words := []string{}
	for _, f := range c.all() {
		words = append(words, f.word)
		if f.word != word {
			continue
		}
		if *f.name != "" {
			return fmt.Errorf("%s is named twice", word)
		}
		*f.name = name
		return nil
	}
	return fmt.Errorf("there is no %q; a column can be %s", word, strings.Join(words, ", "))
}

// String returns the list that ParseColumns reads.
func (c Columns) String() string {
	var list []string
	for _, f := range c.all() {
		if *f.name != "" {
			list = append(list, f.word+"="+*f.name)
		}
	}
	return strings.Join(list, ",")
}

// MarshalText writes String.
func (c Columns) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Columns) UnmarshalText(text []byte) (err error) {
	*c, err = ParseColumns(string(text))
	return err
}

// Form returns the form of the rows that the named columns make up, Unknown
// where none is named. Columns that make up none are an error.
func (c Columns) Form() (Form, error) {
	sets := []struct {
		form           Form
		need, optional Columns
	}{
		{Unknown, Columns{}, Columns{}},
		{Text, Columns{Text: "+"}, Columns{}},
		{Completion, Columns{Prompt: "+", Completion: "+"}, Columns{Tools: "+"}},
		{Messages, Columns{Messages: "+"}, Columns{System: "+", Tools: "+"}},
		{Messages, Columns{Instruction: "+", Output: "+"}, Columns{Input: "+", System: "+"}},
		{Preference, Columns{Chosen: "+", Rejected: "+"}, Columns{Prompt: "+", Tools: "+"}},
	}
	for _, s := range sets {
		fits, need, optional := true, s.need.all(), s.optional.all()
		for i, f := range c.all() {
			has := *f.name != ""
			fits = fits && (has || *need[i].name == "") && (!has || *need[i].name != "" || *optional[i].name != "")
		}
		if fits {
			return s.form, nil
		}
	}
	return Unknown, fmt.Errorf("columns %q: name text alone, prompt and completion together, messages alone, "+
		"instruction and output (with input), or chosen and rejected (with prompt)", c)
}

// detect finds the columns by the keys of a row. Where several would do, the
// one that says most about the row wins.
func detect(fields map[string]json.RawMessage) (Columns, bool) {
	has := func(keys ...string) bool {
		for _, k := range keys {
			if _, ok := fields[k]; !ok {
				return false
			}
		}
		return true
	}
	switch {
	case has("messages"):
		return Columns{Messages: "messages"}, true
	case has("conversations"):
		return Columns{Messages: "conversations"}, true
	case has("chosen", "rejected"):
		c := Columns{Chosen: "chosen", Rejected: "rejected"}
		if has("prompt") {
			c.Prompt = "prompt"
		}
		return c, true
	case has("prompt", "completion"):
		return Columns{Prompt: "prompt", Completion: "completion"}, true
	case has("instruction", "output"):
		return shorthands["alpaca"], true
	case has("text"):
		return Columns{Text: "text"}, true
	}
	return Columns{}, false
}

// use says whether one of the columns is key or a path into it.
func (c Columns) use(key string) bool {
	for _, f := range c.all() {
		if *f.name == key || strings.HasPrefix(*f.name, key+".") {
			return true
		}
	}
	return false
}
