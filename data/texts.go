package data

import "context"

// Texts calls yield for every text of some corpora: the documents, the prompts
// and completions, or the contents of messages. A tokenizer is trained on them.
// An error of yield ends it.
func Texts(ctx context.Context, corpora []Corpus, yield func(text string) error) error {
	for _, c := range corpora {
		src, err := c.open(ctx)
		if err != nil {
			return err
		}
		for r, err := range src.All(ctx) {
			if err != nil {
				return err
			}
			texts := []string{r.Text, r.Prompt, r.Completion}
			for _, m := range r.Conversation.Messages {
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
		}
	}
	return nil
}
