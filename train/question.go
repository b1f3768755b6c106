package train

import (
	"strings"

	"gotune/tokenizer"
)

// question is the text of a prompt without the marks of the chat template: of a
// conversation that ends with the beginning of an answer, what was said last.
func question(tok *tokenizer.Tokenizer, prompt []int32) string {
	var said []string // between control tokens
	from := 0
	for i := range len(prompt) + 1 {
		if i < len(prompt) && !tok.IsSpecial(prompt[i]) {
			continue
		}
		if text := strings.TrimSpace(tok.Decode(prompt[from:i], true)); text != "" {
			said = append(said, text)
		}
		from = i + 1
	}
	last := len(said) - 1
	if last > 0 && said[last] == "assistant" {
		return strings.TrimSpace(strings.TrimPrefix(said[last-1], "user\n"))
	}
	text := tok.Decode(prompt, true)
	text = strings.TrimPrefix(text, "user\n")
	text = strings.TrimSuffix(text, "assistant\n")
	return strings.TrimSpace(text)
}
