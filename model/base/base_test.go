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

// The embedded base is what its card says.
func TestEmbeddedBase(t *testing.T) {
	src, err := base.FS()
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	err = fs.WalkDir(src, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil || size > 3<<20 {
		t.Errorf("%d bytes, %v", size, err)
	}
	m, err := model.Load(context.Background(), src, "base")
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Count(); n < 900_000 || n > 1_200_000 || m.Config.MaxPositions < 1024 {
		t.Errorf("%d parameters, context of %d", n, m.Config.MaxPositions)
	}
	tok, err := tokenizer.Load(src, "base")
	if err != nil {
		t.Fatal(err)
	}
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
}
