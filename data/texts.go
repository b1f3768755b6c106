package data

import (
	"context"
	"io"
)

// Texts calls yield for every text of some paths, which are those of [Config]:
// the documents, the prompts and completions, or the contents of messages. A
// tokenizer is trained on them. An error of yield ends it.
func Texts(ctx context.Context, paths []string, columns Columns, yield func(text string) error) error {
	for _, path := range paths {
		err := read(ctx, path, columns, io.Discard, func(r *row) error {
			texts := []string{r.text, r.prompt, r.completion}
			for _, m := range r.messages {
				texts = append(texts, m.Role, m.Content)
			}
			for _, t := range texts {
				if t == "" {
					continue
				}
				if err := yield(t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
