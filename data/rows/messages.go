package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/data/chat"
)

// roles are those that a message can have.
var roles = []string{"system", "developer", "user", "assistant", "tool"}

// speakers are the names that ShareGPT and its kin have for the roles.
var speakers = map[string]string{
	"system": "system", "developer": "developer",
	"human": "user", "user": "user",
	"gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
	"tool": "tool", "function": "tool", "function_response": "tool", "observation": "tool",
	"function_call": "assistant",
}

// messages reads a column that holds a conversation: a list of objects with
// role and content, or with from and value.
func (r record) messages(name string) ([]chat.Message, error) {
	raw, err := r.find(name)
	if err != nil {
		return nil, err
	}
	raw = unwrapped(raw)
	if kindOf(raw) != "list" {
		return nil, fmt.Errorf("column %q holds %s where a list of messages is needed", name, a(raw))
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("column %q: a message is an object with role and content", name)
	}
	turns := make([]chat.Message, len(list))
	for i, fields := range list {
		if turns[i], err = message(record{fields: fields}); err != nil {
			return nil, fmt.Errorf("column %q, message %d: %w", name, i+1, err)
		}
	}
	return turns, nil
}

// message reads one turn.
func message(r record) (m chat.Message, err error) {
	_, from := r.fields["from"]
	_, value := r.fields["value"]
	if _, role := r.fields["role"]; !role && from && value {
		err = r.spoken(&m)
	} else {
		err = r.said(&m)
	}
	if err != nil {
		return m, err
	}
	if err := errors.Join(r.optional("name", &m.Name), r.optional("tool_call_id", &m.ToolCallID)); err != nil {
		return m, err
	}
	for key, raw := range r.fields {
		switch key {
		case "role", "content", "from", "value", "name", "tool_call_id", "tool_calls", "weight":
			continue
		}
		if kindOf(raw) == "null" {
			continue // tables have every key in every message
		}
		if m.Extra == nil {
			m.Extra = map[string]json.RawMessage{}
		}
		m.Extra[key] = raw
	}
	return m, r.weigh(&m)
}

// said reads role, content and tool_calls.
func (r record) said(m *chat.Message) error {
	if r.has("tool_calls") {
		raw, _ := r.find("tool_calls")
		raw = unwrapped(raw)
		if kindOf(raw) != "list" {
			return fmt.Errorf("tool_calls is %s; it must be a list", a(raw))
		}
		if !bytes.Equal(bytes.Join(bytes.Fields(raw), nil), []byte("[]")) {
			m.ToolCalls = raw
		}
	}
	if err := r.str("role", &m.Role); err != nil {
		return err
	}
	if !slices.Contains(roles, m.Role) {
		return fmt.Errorf("unknown role %q: it can be %s", m.Role, strings.Join(roles, ", "))
	}
	if m.ToolCalls != nil {
		if m.Role != "assistant" {
			return fmt.Errorf("tool_calls of a message by %s: only the assistant calls tools", m.Role)
		}
		if !r.has("content") {
			return nil // a call may be all there is
		}
	}
	return r.content(m)
}

// content reads a string, or a list of parts of text, which are joined.
func (r record) content(m *chat.Message) error {
	raw, err := r.find("content")
	if err != nil {
		return err
	}
	if kindOf(raw) != "list" {
		return r.str("content", &m.Content)
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return errors.New(`column "content" holds a list whose elements are not of the form {"type":"text","text":"…"}`)
	}
	var all strings.Builder
	for i, p := range parts {
		if p.Type != "text" && p.Type != "" || p.Text == nil {
			return fmt.Errorf("column \"content\": part %d is of type %q; only text can be learned", i+1, p.Type)
		}
		all.WriteString(*p.Text)
	}
	m.Content = all.String()
	return nil
}

// spoken reads from and value as ShareGPT has them.
func (r record) spoken(m *chat.Message) error {
	var from string
	if err := errors.Join(r.str("from", &from), r.str("value", &m.Content)); err != nil {
		return err
	}
	role, ok := speakers[from]
	if !ok {
		return fmt.Errorf("unknown speaker %q: it can be human, gpt, system, tool, function_call or function_response", from)
	}
	m.Role = role
	if from == "function_call" {
		if !json.Valid([]byte(m.Content)) || kindOf([]byte(m.Content)) != "object" {
			return errors.New("the value of a function_call is not a JSON object with name and arguments")
		}
		m.ToolCalls = json.RawMessage(`[{"type":"function","function":` + m.Content + `}]`)
		m.Content = ""
	}
	return nil
}

// weigh reads the weight of an assistant's message in the loss.
func (r record) weigh(m *chat.Message) error {
	if !r.has("weight") {
		return nil
	}
	var w float64
	raw, _ := r.find("weight")
	if kindOf(raw) != "number" {
		return fmt.Errorf("the weight is %s; it must be a number", a(raw))
	}
	if err := json.Unmarshal(raw, &w); err != nil || w < 0 || w > math.MaxFloat32 {
		return fmt.Errorf("the weight is %s; it must be a number from 0 up", raw)
	}
	if m.Role == "assistant" {
		m.Weight = &w
		return nil
	}
	if w != 0 {
		return fmt.Errorf("a weight of %s for a message by %s: only messages by the assistant are learned", raw, m.Role)
	}
	return nil
}

// equal says whether two messages are the same turn.
func equal(a, b chat.Message) bool {
	return a.Role == b.Role && a.Content == b.Content && a.Name == b.Name &&
		bytes.Equal(a.ToolCalls, b.ToolCalls) && a.ToolCallID == b.ToolCallID
}
