package train

import (
	"strings"

	"gotune/tokenizer"
)

// question is the text of a prompt without the marks of the chat template.
func question(tok *tokenizer.Tokenizer, prompt []int32) string {
	text := tok.Decode(prompt, true)
	text = strings.TrimPrefix(text, "user\n")
	text = strings.TrimSuffix(text, "assistant\n")
	return strings.TrimSpace(text)
}
