package model_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/model"
)

// Files of a base model, whose names lack the prefix, are read as those with it.
func TestNamesWithoutPrefix(t *testing.T) {
	for folder, prefix := range map[string]string{"testdata/tied": "model.", "testdata/gpt2": "transformer."} {
		want := modeltest.Load(t, folder)
		bare := make(map[string]hf.Tensor)
		for name, w := range want.Weights {
			bare[strings.TrimPrefix(name, prefix)] = w
		}
		var raw bytes.Buffer
		if err := hf.Write(&raw, bare, hf.F32); err != nil {
			t.Fatal(err)
		}
		config, err := os.ReadFile(folder + "/config.json")
		if err != nil {
			t.Fatal(err)
		}
		got, err := model.Load(t.Context(), fstest.MapFS{"config.json": {Data: config}, "model.safetensors": {Data: raw.Bytes()}}, folder)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want.Weights {
			if !slices.Equal(got.Weights[name].Data, w.Data) {
				t.Errorf("%s: %s differs", folder, name)
			}
		}
	}
}
