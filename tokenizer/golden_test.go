package tokenizer

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files are made by testdata/golden.py with Hugging Face's tokenizers.
func TestIDsAreThoseOfHuggingFace(t *testing.T) {
	for _, kind := range []string{"gpt2", "prefix", "smollm2", "qwen2", "llama3"} {
		t.Run(kind, func(t *testing.T) {
			tok, err := LoadFile(filepath.Join("testdata", kind+".json"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(filepath.Join("testdata", kind+".golden.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			lib := tok.Library()
			lines := bufio.NewScanner(f)
			n := 0
			for ; lines.Scan(); n++ {
				var want struct {
					Text    string
					IDs     []int32
					Decoded string
				}
				if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
					t.Fatal(err)
				}
				if got := tok.EncodeSpecial(want.Text); !slices.Equal(got, want.IDs) {
					t.Errorf("%q: got %v, want %v", want.Text, got, want.IDs)
				}
				// The library's long way gives the same.
				e, err := lib.EncodeSingle(want.Text, true)
				if err != nil {
					t.Fatalf("library: %q: %v", want.Text, err)
				}
				if got := ints(e.Ids); !slices.Equal(got, want.IDs) {
					t.Errorf("library: %q: got %v, want %v", want.Text, got, want.IDs)
				}
				if got := lib.Decode(e.Ids, false); got != want.Decoded {
					t.Errorf("library: decoding %v: got %q, want %q", e.Ids, got, want.Decoded)
				}
				if got := tok.Decode(want.IDs, false); got != want.Decoded {
					t.Errorf("decoding %v: got %q, want %q", want.IDs, got, want.Decoded)
				}
			}
			if n < 200 {
				t.Errorf("only %d texts", n)
			}
		})
	}
}

func TestTrainingFindsTheMergesOfHuggingFace(t *testing.T) {
	raw, err := os.ReadFile("testdata/train.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Train(context.Background(), slices.Values(strings.Split(string(raw), "\x1f")), TrainConfig{
		VocabSize: 800, SpecialTokens: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := LoadFile("testdata/train.json")
	if err != nil {
		t.Fatal(err)
	}
	for id := range int32(800) {
		g, _ := got.Token(id)
		w, _ := want.Token(id)
		if g != w {
			t.Fatalf("token %d is %q, want %q", id, g, w)
		}
	}
	if got, want := len(got.model.(*bpe).merges), len(want.model.(*bpe).merges); got != want {
		t.Errorf("%d merges, want %d", got, want)
	}
}

func ints(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
