package data

import (
	"fmt"
	"os"
	"slices"

	"gotune/data/chat"
	"gotune/tokenizer"
)

// OpenTemplate returns a chat template: a built-in one by its name, that of a
// Jinja file by its path, or for "" the one of the tokenizer's files, else ChatML.
func OpenTemplate(name string, t *tokenizer.Tokenizer) (*chat.Template, error) {
	specials := make(map[string]string)
	for role, get := range map[string]func() (int32, bool){"bos_token": t.BOS, "eos_token": t.EOS, "pad_token": t.Pad} {
		if id, ok := get(); ok {
			specials[role], _ = t.Token(id)
		}
	}
	switch source := t.ChatTemplate(); {
	case name == "" && source == "":
		return chat.Named("chatml", specials)
	case name == "":
		parsed, err := chat.Parse("of the model", source, specials)
		if err != nil {
			return nil, fmt.Errorf("%w; name another by chat_template, such as chatml", err)
		}
		return parsed, nil
	case slices.Contains(chat.Names(), name):
		return chat.Named(name, specials)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no built-in template (%v), and as a file: %w", name, chat.Names(), err)
	}
	return chat.Parse(name, string(raw), specials)
}
