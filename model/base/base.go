// Package base holds the embedded bases: two small Llamas, pre-trained on the toy
// world, in Hugging Face's folder layout. Their model cards are files/README.md and
// files-b/README.md.
package base

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed files files-b
var files embed.FS

// folders are those of the models, by name.
var folders = map[string]string{"base": "files", "base-b": "files-b"}

// Names lists the embedded models: base, of about one million parameters, and
// base-b, which is twice as wide with half of the layers.
func Names() []string { return []string{"base", "base-b"} }

// FS returns the folder of the model base.
func FS() (fs.FS, error) { return Open("base") }

// Open returns the folder of the model of a name.
func Open(name string) (fs.FS, error) {
	folder, ok := folders[name]
	if !ok {
		return nil, fmt.Errorf("there is no embedded model %q (there are: %v)", name, Names())
	}
	src, err := fs.Sub(files, folder)
	if err != nil {
		return nil, fmt.Errorf("embedded model %s: %w", name, err)
	}
	if _, err := fs.Stat(src, "model.safetensors"); err != nil {
		return nil, fmt.Errorf("this build has no embedded model %s (%w): name a folder with --model", name, err)
	}
	return src, nil
}
