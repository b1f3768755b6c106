package lora_test

import (
	"testing"

	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/model"
)

// A merged model has a tied head where its base has one, and saves one matrix for both. Only an
// adapter that trains one of the two alone parts them, and then the config says so.
func TestTiedStaysTied(t *testing.T) {
	check := func(name string, m, merged *model.Model, tied bool) {
		t.Helper()
		out := t.TempDir()
		if err := merged.Save(out, hf.F32); err != nil {
			t.Fatal(err)
		}
		again := modeltest.Load(t, out)
		_, head := modeltest.Tensors(t, out, "model.safetensors")["lm_head.weight"]
		if merged.Tied() != tied || again.Tied() != tied || again.Config.TieWordEmbeddings != tied || head && tied {
			t.Errorf("%s: base tied %v, merged %v, saved and read %v with a head of its own %v; want %v", name, m.Tied(), merged.Tied(), again.Tied(), head, tied)
		}
	}
	for _, name := range modeltest.Folders {
		m, ad := load(t, name)
		tied := m.Config.TieWordEmbeddings
		merged, err := ad.Merge(m)
		if err != nil {
			t.Fatal(err)
		}
		check(name, m, merged, tied)
	}
	for name, tied := range map[string]bool{"kept-tied": true, "untied-table": false, "untied-head": false} {
		m, ad := loadOption(t, options(t)[name], name, false)
		merged, err := ad.Merge(m)
		if err != nil {
			t.Fatal(err)
		}
		check(name, m, merged, tied)
	}
}
