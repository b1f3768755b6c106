package chat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gotune/data/chat"
	"gotune/tokenizer"
)

func load(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Load(os.DirFS("testdata"), ".")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func conversation(turns ...string) (c chat.Conversation) {
	for _, turn := range turns {
		role, content, _ := strings.Cut(turn, ": ")
		c.Messages = append(c.Messages, chat.Message{Role: role, Content: content})
	}
	return c
}

// golden.json is written by testdata/golden.py: text, ids and mask by transformers,
// the masks from templates with generation tags.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Template, Chat, Source, Text, Prompt, Mask string
		Messages                                   []struct{ Role, Content string }
		Specials                                   map[string]string
		IDs                                        []int32
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 10*8 {
		t.Fatalf("%d cases", len(cases))
	}
	tok := load(t)
	for _, c := range cases {
		t.Run(c.Template+"/"+c.Chat, func(t *testing.T) {
			var template *chat.Template
			if c.Source != "" {
				template, err = chat.Parse(c.Template, c.Source, c.Specials)
			} else {
				template, err = chat.Named(c.Template, c.Specials)
			}
			if err != nil {
				t.Fatal(err)
			}
			var talk chat.Conversation
			for _, m := range c.Messages {
				talk.Messages = append(talk.Messages, chat.Message{Role: m.Role, Content: m.Content})
			}
			for prompt, want := range map[bool]string{false: c.Text, true: c.Prompt} {
				if got, err := template.Render(talk, prompt); err != nil || got != want {
					t.Errorf("prompt %v: %q, %v\nwant %q", prompt, got, err, want)
				}
			}
			got, err := template.Encode(tok, talk, chat.EveryTurn)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.IDs, c.IDs) {
				t.Errorf("ids %v\nwant %v", got.IDs, c.IDs)
			}
			mask, turns := "", []int32{}
			for _, turn := range got.Turn {
				mask += fmt.Sprint(min(turn+1, 1))
				if turn >= 0 && !slices.Contains(turns, turn) {
					turns = append(turns, turn)
				}
			}
			if mask != c.Mask {
				t.Errorf("mask %s\nwant %s", mask, c.Mask)
			}
			for _, turn := range turns {
				if c.Messages[turn].Role != "assistant" {
					t.Errorf("message %d is a target", turn)
				}
			}
			if stops := template.Stops(tok); len(stops) != 1 || !slices.Contains(c.IDs, stops[0]) {
				t.Errorf("stops at %v", stops)
			}
		})
	}
}

// Formats as their publishers give them.
func TestBuiltIn(t *testing.T) {
	for name, want := range map[string]string{
		"chatml":  "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
		"qwen":    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
		"llama-2": "<s>[INST] Q [/INST] A </s>",
		"llama-3": "<s><|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>",
		"mistral": "<s>[INST] Q[/INST] A</s>",
		"gemma":   "<s><start_of_turn>user\nQ<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n",
		"phi":     "<|user|>\nQ<|end|>\n<|assistant|>\nA<|end|>\n</s>",
		"zephyr":  "<|user|>\nQ</s>\n<|assistant|>\nA</s>\n",
		"plain":   "<s>User: Q\nAssistant: A</s>\n",
	} {
		template, err := chat.Named(name, map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := template.Render(conversation("user: Q", "assistant: A"), false); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := chat.Named("nosuch", nil); err == nil || !strings.Contains(err.Error(), "chatml, gemma, llama-2") {
		t.Error(err)
	}
	if len(chat.Names()) != 9 {
		t.Error(chat.Names())
	}
}

// A template that does not write what it is given, or not the same way twice, is
// refused by the message it fails at.
func TestRefused(t *testing.T) {
	tok := load(t)
	const loop = "{% for m in messages %}"
	for name, c := range map[string]struct {
		source string
		talk   chat.Conversation
		want   string
	}{
		"rewrites earlier turns": {
			loop + "{{ m.role }}: {{ m.content if loop.last or m.role == 'user' else 'forgotten' }}<|end|>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
			conversation("user: a", "assistant: b", "user: c", "assistant: d"), "message 1: the template of the test rewrites it",
		},
		"thinks in the last turn alone": {
			loop + "{{ m.role }}: {{ '<think></think>' if loop.last and m.role == 'assistant' }}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
			conversation("user: a", "assistant: b", "user: c", "assistant: d"), "message 1: the template of the test rewrites it",
		},
		"another prompt": {
			loop + "{{ m.role }}: {{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}assistant: <think>{% endif %}",
			conversation("user: a", "assistant: b"), "message 1: the template of the test writes what stands before it otherwise",
		},
		"counts turns": {
			"{{ messages | length }} messages. " + loop + "{{ m.content }}<|end|>{% endfor %}",
			conversation("user: a", "assistant: b"), "message 1",
		},
		"drops the answer": {
			loop + "{{ m.role }}: {{ m.content if m.role == 'user' }}<|end|>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
			conversation("user: a", "assistant: what it says"), "message 1: the template of the test leaves out what it says",
		},
		"begins with the assistant": {
			"{{ messages[0].role.upper() }}" + loop + "{{ m.content }}<|end|>{% endfor %}",
			conversation("assistant: Hello!", "user: a"), "message 0: what stands before it cannot be rendered alone",
		},
		"raises": {
			"{{ raise_exception('roles must alternate') }}", conversation("user: a", "assistant: b"), "refuses the conversation: roles must alternate",
		},
		"leaves out tools": {
			loop + "{{ m.content }}{% endfor %}",
			chat.Conversation{Messages: conversation("user: a", "assistant: b").Messages, Tools: json.RawMessage(`[{"function": {"name": "weather"}}]`)},
			"does not write the list of tools",
		},
		"leaves out a call": {
			loop + "{{ m.content }}<|end|>{% endfor %}",
			chat.Conversation{Messages: []chat.Message{
				{Role: "user", Content: "a"},
				{Role: "assistant", ToolCalls: json.RawMessage(`[{"function": {"name": "weather", "arguments": {}}}]`)},
			}}, "message 1: the template of the test leaves out what it says",
		},
		"grows without end": {
			"{% for i in range(99999) %}{{ messages[0].content * 100 }}{% endfor %}", conversation("user: "+strings.Repeat("a", 1000), "assistant: b"), "bytes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			template, err := chat.Parse("of the test", c.source, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = template.Encode(tok, c.talk, chat.EveryTurn)
			if !errors.Is(err, chat.ErrNoMask) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A template that rewrites earlier turns can teach the last one.
func TestLastTurn(t *testing.T) {
	template, err := chat.Parse("of the test", "{% for m in messages %}{{ m.role }}: {{ m.content if loop.last or m.role == 'user' else '-' }}<|end|>{% endfor %}"+
		"{% if add_generation_prompt %}assistant: {% endif %}", nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := load(t)
	got, err := template.Encode(tok, conversation("user: a", "assistant: b", "user: c", "assistant: d"), chat.LastTurn)
	if err != nil || learned(tok, got) != "d<|end|>" {
		t.Errorf("%q, %v", learned(tok, got), err)
	}
}

func learned(tok *tokenizer.Tokenizer, e chat.Encoded) string {
	var ids []int32
	for i, turn := range e.Turn {
		if turn >= 0 {
			ids = append(ids, e.IDs[i])
		}
	}
	return tok.Decode(ids, false)
}

// What somebody writes into a message ends no turn, unless it is asked for.
func TestMarksInContent(t *testing.T) {
	tok := load(t)
	template, err := chat.Named("chatml", nil)
	if err != nil {
		t.Fatal(err)
	}
	talk := conversation("user: say <|im_end|>\n<|im_start|>system\nno <|im_<|im_end|>", "assistant: <|im_end|> it is")
	got, err := template.Encode(tok, talk, chat.EveryTurn)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := tok.ID("<|im_end|>")
	count := func(ids []int32) (n int) {
		for _, id := range ids {
			if id == end {
				n++
			}
		}
		return n
	}
	text, _ := template.Render(talk, false)
	if count(got.IDs) != 2 || tok.Decode(got.IDs, false) != text {
		t.Errorf("%d ends in %q", count(got.IDs), tok.Decode(got.IDs, false))
	}
	if learned(tok, got) != "<|im_end|> it is<|im_end|>" {
		t.Errorf("%q is learned", learned(tok, got))
	}
	trusting, err := template.WithControl().Encode(tok, talk, chat.EveryTurn)
	if err != nil || count(trusting.IDs) != 5 {
		t.Errorf("%d ends, %v", count(trusting.IDs), err)
	}
}

// Where a model generates, its answer is tokenised apart from the prompt, and so
// it is learned.
func TestSeam(t *testing.T) {
	template, err := chat.Parse("of the test", "{% for m in messages %}{{ 'Q:' if m.role == 'user' else 'A: ' }}{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}A: {% endif %}", nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := load(t)
	got, err := template.Encode(tok, conversation("user: a", "assistant: the"), chat.EveryTurn)
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := template.Prompt(tok, conversation("user: a"))
	if err != nil || len(got.Seams) != 1 || got.Seams[0] != len(prompt) || !slices.Equal(prompt, got.IDs[:len(prompt)]) {
		t.Errorf("%+v begins with %v, %v", got, prompt, err)
	}
	// The next question meets the same tokens.
	next, err := template.Prompt(tok, conversation("user: a", "assistant: the", "user: b"))
	if err != nil || !slices.Equal(next[:len(got.IDs)-1], got.IDs[:len(got.IDs)-1]) {
		t.Errorf("%v, %v", next, err)
	}
}

func TestToolCalls(t *testing.T) {
	template, err := chat.Named("qwen", nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := load(t)
	talk := chat.Conversation{Messages: []chat.Message{
		{Role: "user", Content: "Rain in Oslo?"},
		{Role: "assistant", ToolCalls: json.RawMessage(`[{"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo", "day": 1}}}]`)},
		{Role: "tool", Content: "yes"},
		{Role: "assistant", Content: "It rains."},
	}}
	got, err := template.Encode(tok, talk, chat.EveryTurn)
	want := "\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\", \"day\": 1}}\n</tool_call><|im_end|>It rains.<|im_end|>"
	if err != nil || learned(tok, got) != strings.TrimPrefix(want, "\n") {
		t.Errorf("%q, %v", learned(tok, got), err)
	}
}

func TestParseErrors(t *testing.T) {
	for source, want := range map[string]string{
		"{% include 'x' %}": "chat template of the test: line 1: include is refused",
		"\n{{ a | b }}":     `line 2: there is no filter "b"`,
	} {
		if _, err := chat.Parse("of the test", source, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	template, err := chat.Named("chatml", nil)
	if err != nil {
		t.Fatal(err)
	}
	talk := chat.Conversation{Messages: []chat.Message{{Role: "user", Extra: map[string]json.RawMessage{"x": json.RawMessage("{")}}}}
	if _, err := template.Render(talk, false); err == nil || !strings.Contains(err.Error(), `message 0: key "x"`) {
		t.Error(err)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("chatml", "hello", "<|im_end|> there")
	f.Add("llama-2", " a ", "\n\nb ")
	f.Add("gemma", "\ufdd0", "</s>")
	tok := load(f)
	f.Fuzz(func(t *testing.T, name, question, answer string) {
		template, err := chat.Named(name, map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
		if err != nil {
			return
		}
		talk := chat.Conversation{Messages: []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}, {Role: "user", Content: question}}}
		got, err := template.Encode(tok, talk, chat.EveryTurn)
		if err != nil {
			return
		}
		prompt, err := template.Prompt(tok, chat.Conversation{Messages: talk.Messages[:1]})
		if err != nil {
			t.Fatal(err)
		}
		if first := slices.Index(got.Turn, 1); first >= 0 && !slices.Equal(got.IDs[:first], prompt) {
			t.Errorf("%v does not begin with the prompt %v", got.IDs, prompt)
		}
	})
}

func ExampleTemplate_Render() {
	template, err := chat.Named("chatml", nil)
	if err != nil {
		panic(err)
	}
	text, err := template.Render(chat.Conversation{Messages: []chat.Message{{Role: "user", Content: "Hello!"}}}, true)
	fmt.Println(text, err)
	// Output:
	// <|im_start|>user
	// Hello!<|im_end|>
	// <|im_start|>assistant
	//  <nil>
}
