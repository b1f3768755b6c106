package train

import (
	"os"
	"testing"

	"gotune/tokenizer"
)

// What is shown of a prompt is the question: not the marks of the template, nor the system's
// text or the turns before it.
func TestQuestion(t *testing.T) {
	tok, err := tokenizer.Load(os.DirFS("../data/testdata/tokenizer"), "tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	for prompt, want := range map[string]string{
		"<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n":                                                                 "Who?",
		"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?\nAnd why?<|im_end|>\n<|im_start|>assistant\n":              "Who?\nAnd why?",
		"<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n": "C",
		"user\nWho?\nassistant\n":              "Who?",
		"A text <|im_end|> of a prompt alone ": "A text  of a prompt alone",
		"":                                     "",
	} {
		if got := question(tok, tok.Encode(prompt)); got != want {
			t.Errorf("of %q the question is %q, want %q", prompt, got, want)
		}
	}
}
