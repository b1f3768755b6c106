package data_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"gotune/data"
	"gotune/data/chat"
	"gotune/tokenizer"
)

// A goldenChat is a conversation as transformers renders, tokenises and masks it;
// see chat/testdata/golden.py.
type goldenChat struct {
	Template, Source string
	Specials         map[string]string
	Messages         []map[string]string
	IDs              []int32
	Mask             string
}

// goldenChats returns the conversations by the name of their template.
func goldenChats(t *testing.T) map[string][]goldenChat {
	t.Helper()
	raw, err := os.ReadFile("chat/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []goldenChat
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	of := make(map[string][]goldenChat)
	for _, c := range all {
		of[c.Template] = append(of[c.Template], c)
	}
	return of
}

// openChats reads conversations from a file, as training does.
func openChats(t *testing.T, tok *tokenizer.Tokenizer, chats []goldenChat) *data.Dataset {
	t.Helper()
	var rows strings.Builder
	for _, c := range chats {
		if err := json.NewEncoder(&rows).Encode(map[string][]map[string]string{"messages": c.Messages}); err != nil {
			t.Fatal(err)
		}
	}
	name, source, specials := chats[0].Template, chats[0].Source, chats[0].Specials
	template, err := chat.Named(name, specials)
	if source != "" {
		template, err = chat.Parse(name, source, specials)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.Open(t.Context(), data.Config{
		Corpora:       data.Files(write(t, "chats.jsonl", rows.String())),
		EncoderConfig: data.EncoderConfig{MaxLength: 1024, Tokenizer: tok, Template: template},
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// Conversations of one turn and of several make, through each of ten chat
// templates, the batches of transformers' ids and masks, padded and packed.
func TestBatchesOfTemplatesAreThoseOfTransformers(t *testing.T) {
	tok, err := tokenizer.Load(os.DirFS("chat/testdata"), "chat/testdata")
	if err != nil {
		t.Fatal(err)
	}
	of := goldenChats(t)
	if len(of) != 10 {
		t.Fatalf("%d templates", len(of))
	}
	for name, chats := range of {
		t.Run(name, func(t *testing.T) {
			d := openChats(t, tok, chats)
			padded := one(t, d, data.BatchConfig{BatchSize: len(chats), AccumulationSteps: 1})
			packed := one(t, d, data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Packing: true})
			for _, b := range []*data.Batch{padded, packed} {
				if len(b.Segments) != len(chats) {
					t.Fatalf("%d conversations of %d", len(b.Segments), len(chats))
				}
				compareChats(t, b, chats)
			}
		})
	}
}

func compareChats(t *testing.T, b *data.Batch, chats []goldenChat) {
	t.Helper()
	inside := 0
	for _, s := range b.Segments {
		c := chats[s.Example]
		labels, positions := make([]int32, len(c.IDs)), make([]int32, len(c.IDs))
		for i, id := range c.IDs {
			labels[i], positions[i] = data.Ignore, int32(i)
			if c.Mask[i] == '1' {
				labels[i] = id
				inside++
			}
		}
		from := s.Row*b.Length + s.Start
		compare(t, b.IDs[from:from+s.Length], b.Targets[from:from+s.Length], b.Positions[from:from+s.Length], c.IDs, labels, positions)
	}
	for _, target := range b.Targets {
		if target != data.Ignore {
			inside--
		}
	}
	if inside != 0 {
		t.Errorf("%d targets outside of conversations, or lost", -inside)
	}
}
