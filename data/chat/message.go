package chat

import "encoding/json"

// A Message is one turn of a conversation.
type Message struct {
	Role       string // system, developer, user, assistant or tool
	Content    string
	Name       string
	ToolCalls  json.RawMessage // as given, nil if none
	ToolCallID string
	Extra      map[string]json.RawMessage // other keys, visible to templates (such as reasoning_content)
	Weight     *float64                   // of its tokens in the loss; nil is 1. Only of assistant messages
}

// A Conversation is what a chat template renders.
type Conversation struct {
	Messages  []Message
	Tools     json.RawMessage // a list, or nil
	Documents json.RawMessage // a list, or nil
}
