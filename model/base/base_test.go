package base_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"strings"
	"testing"

	"gotune/model"
	"gotune/model/base"
	"gotune/tokenizer"
)

// The embedded bases are what their cards say, and have the same tokenizer.
func TestEmbeddedBases(t *testing.T) {
	limits := map[string]struct{ bytes, least, most int }{
		"base":   {3 << 20, 900_000, 1_200_000},
		"base-b": {7 << 19, 1_400_000, 2_000_000},
	}
	tokenizers := map[string]bool{}
	for _, name := range base.Names() {
		t.Run(name, func(t *testing.T) {
			src, err := base.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			limit := limits[name]
			if size := sizeOf(t, src); size > limit.bytes {
				t.Errorf("%d bytes", size)
			}
			m, err := model.Load(context.Background(), src, name)
			if err != nil {
				t.Fatal(err)
			}
			if n := m.Count(); n < limit.least || n > limit.most || m.Config.MaxPositions < 1024 {
				t.Errorf("%d parameters, context of %d", n, m.Config.MaxPositions)
			}
			shape, err := model.Shape(name)
			if err != nil || shape.HiddenSize != m.Config.HiddenSize || shape.Layers != m.Config.Layers || shape.IntermediateSize != m.Config.IntermediateSize {
				t.Errorf("the shape %s is %+v, %v; the model is %+v", name, shape, err, m.Config)
			}
			tok, err := tokenizer.Load(src, name)
			if err != nil {
				t.Fatal(err)
			}
			tokenizers[tok.SHA256()] = true
			if text := "any byte: \x01 ÿ 日本 👩‍👧"; tok.Decode(tok.Encode(text), false) != text {
				t.Errorf("the tokenizer does not know every byte")
			}
			weights, err := fs.ReadFile(src, "model.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			card, err := fs.ReadFile(src, "README.md")
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(weights)
			if hash := hex.EncodeToString(sum[:]); !strings.Contains(string(card), hash) {
				t.Errorf("the card does not name the SHA-256 of the weights, %s", hash)
			}
		})
	}
	if len(tokenizers) != 1 {
		t.Errorf("%d tokenizers", len(tokenizers))
	}
	if _, err := base.Open("base-c"); err == nil || !strings.Contains(err.Error(), "base-b") {
		t.Errorf("an unknown name: %v", err)
	}
}

// sizeOf is how many bytes a model adds to the program.
func sizeOf(t *testing.T, src fs.FS) (size int) {
	t.Helper()
	err := fs.WalkDir(src, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += int(info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
