// Package base holds the embedded base: a Llama of about one million parameters,
// pre-trained on the toy world, in Hugging Face's folder layout. Its model card
// is files/README.md.
package base

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed files
var files embed.FS

// FS returns the model folder.
func FS() (fs.FS, error) {
	src, err := fs.Sub(files, "files")
	if err != nil {
		return nil, fmt.Errorf("embedded base: %w", err)
	}
	if _, err := fs.Stat(src, "model.safetensors"); err != nil {
		return nil, fmt.Errorf("this build has no embedded base (%w): name a folder with --model", err)
	}
	return src, nil
}
