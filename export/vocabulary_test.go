package export

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gotune/tokenizer"
)

// A folder that holds tokenizer.model alone has the vocabulary of the tokenizer.json that
// transformers makes of it.
func TestSentencePieceAlone(t *testing.T) {
	spm, err := os.ReadFile(filepath.Join("testdata", "spm", "tokenizer.model"))
	if err != nil {
		t.Fatal(err)
	}
	json, err := os.ReadFile(filepath.Join("testdata", "spm", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	const roles = `"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": true`
	var made []string
	for _, files := range []fstest.MapFS{
		{"tokenizer.json": {Data: json}, "tokenizer_config.json": {Data: []byte("{" + roles + "}")}},
		{"tokenizer.model": {Data: spm}, "tokenizer_config.json": {Data: []byte(`{"tokenizer_class": "LlamaTokenizer", "legacy": true, ` + roles + "}")}},
	} {
		tok, err := tokenizer.Load(files, "spm")
		if err != nil {
			t.Fatal(err)
		}
		v, err := newVocabulary(tok, 600)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, fmt.Sprintf("%+v", *v))
	}
	if diff := cmp.Diff(made[0], made[1]); diff != "" {
		t.Errorf("tokenizer.model alone makes another vocabulary (- tokenizer.json, + tokenizer.model):\n%s", diff)
	}

	tok, err := tokenizer.Load(fstest.MapFS{"tokenizer.model": {Data: spm}}, "spm")
	if err != nil {
		t.Fatal(err)
	}
	v, err := newVocabulary(tok, 600)
	if err != nil || v.model != "llama" || len(v.scores) != 600 || v.types[0] != unknownToken {
		t.Errorf("without tokenizer_config.json: %v, %+v", err, v)
	}
}

// llama.cpp would not open these.
func TestPhi3Names(t *testing.T) {
	v := &vocabulary{tokens: []string{"<unk>", "<s>", "</s>"}}
	if err := v.checkName("my-Phi3"); err == nil || !strings.Contains(err.Error(), "<|endoftext|> is no token") {
		t.Errorf("got %v", err)
	}
	v.tokens = append(v.tokens, "<|endoftext|>")
	if err := v.checkName("my-Phi3"); err != nil {
		t.Error(err)
	}
	if err := (&vocabulary{}).checkName("my-phi"); err != nil {
		t.Error(err)
	}
}
