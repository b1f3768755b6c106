package data

// A Message is one turn of a conversation.
type Message struct {
	Role    string // system, user, assistant or tool
	Content string
}

// roles are those that a message can have.
var roles = []string{"system", "user", "assistant", "tool"}

// ChatML is the chat template
//
//	<|im_start|>role
//	content<|im_end|>
//
// with a line break after each turn. What an assistant turn teaches is its
// content and the mark that ends it, not the line break. A mark written inside
// a content is text and no control token.
//
// Differs from rendering a conversation to one string and tokenising that: the
// content of an assistant turn is tokenised apart from the line break before
// it, as generation will meet it.
type ChatML struct {
	tokenizer  Tokenizer
	start, end []int32
	newline    []int32
}

// NewChatML returns the template over a tokenizer. Where the tokenizer has no
// tokens for the marks they are ordinary text; see [ChatML.Stop].
func NewChatML(t Tokenizer) *ChatML {
	return &ChatML{
		tokenizer: t,
		start:     t.Encode("<|im_start|>"),
		end:       t.Encode("<|im_end|>"),
		newline:   t.EncodeText("\n"),
	}
}

// Stop returns the token that ends an assistant turn, and false where the
// tokenizer does not have the marks of the template.
func (c *ChatML) Stop() (id int32, ok bool) {
	if len(c.start) != 1 || len(c.end) != 1 {
		return 0, false
	}
	return c.end[0], true
}

// Encode returns the ids of a conversation, and of each whether an assistant
// wrote it. An assistant turn without content teaches nothing.
func (c *ChatML) Encode(messages []Message) (ids []int32, target []bool) {
	put := func(tokens []int32, learn bool) {
		ids = append(ids, tokens...)
		for range tokens {
			target = append(target, learn)
		}
	}
	for _, m := range messages {
		put(c.start, false)
		if m.Role == "assistant" {
			content := c.tokenizer.EncodeText(m.Content)
			put(c.header(), false)
			put(content, true)
			put(c.end, len(content) > 0)
		} else {
			put(c.tokenizer.EncodeText(m.Role+"\n"+m.Content), false)
			put(c.end, false)
		}
		put(c.newline, false)
	}
	return ids, target
}

// Prompt returns the ids of a conversation with the beginning of the assistant
// turn that is to be generated.
func (c *ChatML) Prompt(messages []Message) []int32 {
	ids, _ := c.Encode(messages)
	return append(append(ids, c.start...), c.header()...)
}

// header returns what stands between the first mark of an assistant turn and
// its content.
func (c *ChatML) header() []int32 { return c.tokenizer.EncodeText("assistant\n") }
