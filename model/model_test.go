package model_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/model"
)

// golden loads a golden model.
func golden(t testing.TB, name string) *model.Model {
	t.Helper()
	return modeltest.Load(t, filepath.Join("testdata", name))
}

// folderOf is a model folder in memory with some of its tensors changed.
func folderOf(t *testing.T, change func(map[string]hf.Tensor)) fstest.MapFS {
	t.Helper()
	dir := filepath.Join("testdata", "tied")
	tensors := modeltest.Tensors(t, dir, "model.safetensors")
	change(tensors)
	var buf bytes.Buffer
	if err := hf.Write(&buf, tensors, hf.F32); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"config.json": {Data: raw}, "model.safetensors": {Data: buf.Bytes()}}
}

func TestLoadErrors(t *testing.T) {
	const (
		norm = "model.norm.weight"
		q    = "model.layers.0.self_attn.q_proj.weight"
	)
	same := func(map[string]hf.Tensor) {}
	for name, c := range map[string]struct {
		tensors func(map[string]hf.Tensor)
		files   func(fstest.MapFS)
		parts   []string
	}{
		"two missing": {tensors: func(ts map[string]hf.Tensor) { delete(ts, norm); delete(ts, q) }, parts: []string{"missing tensors: " + q + ", " + norm}},
		"all missing": {tensors: func(ts map[string]hf.Tensor) { clear(ts) }, parts: []string{"missing tensors", "and 12 more"}},
		"another head": {tensors: func(ts map[string]hf.Tensor) {
			head := hf.Tensor{Shape: ts["model.embed_tokens.weight"].Shape, Data: slices.Clone(ts["model.embed_tokens.weight"].Data)}
			head.Data[5]++
			ts["lm_head.weight"] = head
		}, parts: []string{"lm_head.weight differs from model.embed_tokens.weight", `"tie_word_embeddings" to false`}},
		"unexpected": {tensors: func(ts map[string]hf.Tensor) { ts["model.extra.weight"] = ts[norm] }, parts: []string{"unexpected tensors: model.extra.weight"}},
		"both": {tensors: func(ts map[string]hf.Tensor) { ts["model.norms.weight"] = ts[norm]; delete(ts, norm) },
			parts: []string{"missing tensors: " + norm, "unexpected tensors: model.norms.weight"}},
		"wrong shape": {tensors: func(ts map[string]hf.Tensor) { ts[q] = ts[norm] }, parts: []string{q, "[32]", "[32 32]"}},
		"truncated": {files: func(f fstest.MapFS) { d := f["model.safetensors"].Data; f["model.safetensors"].Data = d[:len(d)/2] },
			parts: []string{"model.safetensors", "truncated"}},
		"empty":      {files: func(f fstest.MapFS) { f["model.safetensors"].Data = nil }, parts: []string{"model.safetensors"}},
		"no weights": {files: func(f fstest.MapFS) { delete(f, "model.safetensors") }, parts: []string{"neither model.safetensors"}},
		"several":    {files: shard, parts: []string{"model.safetensors.index.json has no weight_map"}},
		"PyTorch": {files: func(f fstest.MapFS) {
			f["pytorch_model-00001-of-00002.bin"] = f["model.safetensors"]
			delete(f, "model.safetensors")
		}, parts: []string{"has its weights in pytorch_model-00001-of-00002.bin", "read from model.safetensors alone",
			"AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)"}},
		"no config":    {files: func(f fstest.MapFS) { delete(f, "config.json") }, parts: []string{"config.json"}},
		"wrong config": {files: func(f fstest.MapFS) { f["config.json"].Data = changed(t, map[string]any{"hidden_act": "relu"}) }, parts: []string{"config.json", "relu"}},
		"other width":  {files: func(f fstest.MapFS) { f["config.json"].Data = changed(t, map[string]any{"intermediate_size": 64}) }, parts: []string{"[32 48]", "[32 64]"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.tensors == nil {
				c.tensors = same
			}
			src := folderOf(t, c.tensors)
			if c.files != nil {
				c.files(src)
			}
			_, err := model.Load(t.Context(), src, "my-model")
			wants(t, err, append(c.parts, "my-model")...)
		})
	}
}

// shards is a model folder in memory with its tensors in two files.
func shards(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	src := make(fstest.MapFS)
	index := make(map[string]string)
	for part := range 2 {
		name := fmt.Sprintf("model-%05d-of-00002.safetensors", part+1)
		tensors := modeltest.Tensors(t, dir, "model.safetensors")
		for i, tensor := range slices.Sorted(maps.Keys(tensors)) {
			if i%2 != part {
				delete(tensors, tensor)
			} else {
				index[tensor] = name
			}
		}
		var buf bytes.Buffer
		if err := hf.Write(&buf, tensors, hf.F32); err != nil {
			t.Fatal(err)
		}
		src[name] = &fstest.MapFile{Data: buf.Bytes()}
	}
	raw, err := json.Marshal(map[string]any{"weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	src["model.safetensors.index.json"], src["config.json"] = &fstest.MapFile{Data: raw}, &fstest.MapFile{Data: config}
	return src
}

// Weights split into several files are those of one.
func TestLoadShards(t *testing.T) {
	m, err := model.Load(t.Context(), shards(t, filepath.Join("testdata", "tied")), "shards")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range golden(t, "tied").Weights {
		if got := m.Weights[name]; !slices.Equal(got.Data, want.Data) {
			t.Errorf("%s differs", name)
		}
	}
}

// A head that is tied to the embedding, from one file or from several, is one weight in
// memory, in what is saved and in what is read again; one that is not tied stays apart.
func TestTiedStaysTied(t *testing.T) {
	tied := 0
	for _, name := range modeltest.Folders {
		dir := filepath.Join("testdata", name)
		for kind, src := range map[string]fs.FS{"one file": os.DirFS(dir), "shards": shards(t, dir)} {
			m, err := model.Load(t.Context(), src, name)
			if err != nil {
				t.Fatal(err)
			}
			out := t.TempDir()
			if err := m.Save(out, hf.BF16); err != nil {
				t.Fatal(err)
			}
			saved := modeltest.Tensors(t, out, "model.safetensors")
			again := modeltest.Load(t, out)
			if len(saved) != len(m.Weights) || again.Count() != m.Count() || again.Tied() != m.Tied() || m.Tied() != m.Config.TieWordEmbeddings {
				t.Errorf("%s, %s: %d weights, tied %v; saved %d, tied %v", name, kind, len(m.Weights), m.Tied(), len(saved), again.Tied())
			}
			for _, head := range []string{"lm_head.weight", "embed_out.weight"} {
				if _, ok := saved[head]; ok && m.Tied() {
					t.Errorf("%s, %s: %s is saved beside the embedding", name, kind, head)
				}
			}
			if m.Tied() {
				tied++
			}
		}
	}
	if tied < 10 {
		t.Errorf("only %d of the models are tied", tied)
	}
}

// shard makes a folder look like a model whose weights are in several files.
func shard(f fstest.MapFS) {
	f["model-00001-of-00002.safetensors"] = f["model.safetensors"]
	f["model.safetensors.index.json"] = &fstest.MapFile{Data: []byte("{}")}
	delete(f, "model.safetensors")
}

// Older files hold a copy of a tied head, and tables of the rotary embedding.
func TestLoadPassesOverCopies(t *testing.T) {
	m, err := model.Load(t.Context(), folderOf(t, func(ts map[string]hf.Tensor) {
		ts["lm_head.weight"] = ts["model.embed_tokens.weight"]
		ts["model.layers.0.self_attn.rotary_emb.inv_freq"] = hf.Tensor{Shape: []int{4}, Data: make([]float32, 4)}
	}), "old")
	if err != nil || m.Count() != golden(t, "tied").Count() {
		t.Errorf("%v", err)
	}
}

func TestLoadStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := model.Load(ctx, os.DirFS(filepath.Join("testdata", "tied")), "tied"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestCountAndProjections(t *testing.T) {
	for name, want := range map[string]int{
		// Embedding, per layer q, o, k, v, three of the feed-forward and two norms, the last norm.
		"tied": 61*32 + 2*(2*32*32+2*16*32+3*32*48+2*32) + 32,
		// With 4·12 and 2·12 columns of heads, four biases, and a head.
		"untied": 2*61*32 + 2*(2*48*32+2*24*32+3*32*48+2*32+48+24+24+32) + 32,
	} {
		m := golden(t, name)
		if m.Count() != want {
			t.Errorf("%s has %d parameters, want %d", name, m.Count(), want)
		}
		if tables := m.TokenRows(); len(tables) != map[string]int{"tied": 1, "untied": 2}[name] || tables[len(tables)-1].Shape[0] != 61 {
			t.Errorf("%s has %d tables with a row for each token", name, len(tables))
		}
		ps := m.Projections()
		if len(ps) != 14 || ps[0] != "model.layers.0.self_attn.q_proj" || ps[13] != "model.layers.1.mlp.down_proj" {
			t.Errorf("%s: projections %v", name, ps)
		}
	}
}

// Matrices are normal with the deviation of the config, norms 1, biases 0; equal
// seeds give equal weights.
func TestNew(t *testing.T) {
	c := golden(t, "untied").Config
	m, err := model.New(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range m.Weights {
		var sum, squares, largest float64
		for _, v := range w.Data {
			sum, squares, largest = sum+float64(v), squares+float64(v)*float64(v), max(largest, math.Abs(float64(v)))
		}
		n := float64(len(w.Data))
		mean, deviation := sum/n, math.Sqrt(squares/n)
		switch {
		case filepath.Ext(name) == ".bias":
			if largest != 0 {
				t.Errorf("%s does not start at 0", name)
			}
		case len(w.Shape) == 1:
			if mean != 1 || largest != 1 {
				t.Errorf("%s does not start at 1", name)
			}
		// Five deviations of the mean and of the deviation of n draws.
		case math.Abs(mean) > 5*0.2/math.Sqrt(n) || math.Abs(deviation-0.2) > 5*0.2/math.Sqrt(2*n):
			t.Errorf("%s has mean %g and deviation %g, want 0 and 0.2", name, mean, deviation)
		}
	}
	again, err := model.New(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	other, err := model.New(c, 4)
	if err != nil {
		t.Fatal(err)
	}
	const q = "model.layers.1.self_attn.q_proj.weight"
	if !slices.Equal(m.Weights[q].Data, again.Weights[q].Data) || slices.Equal(m.Weights[q].Data, other.Weights[q].Data) {
		t.Error("weights are not a function of the seed")
	}
	c.Heads = 3
	_, err = model.New(c, 1)
	wants(t, err, "making a model", "num_attention_heads (3)")
}

// In float32 a model comes back as it was, in bfloat16 rounded to the nearest;
// saving it again gives the same bytes.
func TestSaveThenLoad(t *testing.T) {
	for _, name := range modeltest.Folders {
		m := golden(t, name)
		for d, round := range map[hf.DType]func(float32) float32{
			hf.F32:  func(v float32) float32 { return v },
			hf.BF16: func(v float32) float32 { return math.Float32frombits(uint32(hf.RoundBF16(v)) << 16) },
		} {
			dir := filepath.Join(t.TempDir(), "a", "b")
			if err := m.Save(dir, d); err != nil {
				t.Fatal(err)
			}
			got := modeltest.Load(t, dir)
			if want := map[hf.DType]string{hf.F32: "float32", hf.BF16: "bfloat16"}[d]; got.Config.TorchDType != want {
				t.Errorf("config.json says %q, want %q", got.Config.TorchDType, want)
			}
			if len(got.Weights) != len(m.Weights) {
				t.Errorf("%d weights, want %d", len(got.Weights), len(m.Weights))
			}
			for weight, w := range m.Weights {
				for i, v := range w.Data {
					if got.Weights[weight].Data[i] != round(v) {
						t.Fatalf("%s %s[%d] = %g, was %g", d, weight, i, got.Weights[weight].Data[i], v)
					}
				}
			}
			again := t.TempDir()
			if err := got.Save(again, d); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"config.json", "model.safetensors"} {
				if a, b := contents(t, dir, file), contents(t, again, file); !bytes.Equal(a, b) {
					t.Errorf("%s %s differs after a second save", d, file)
				}
			}
		}
	}
}

func contents(t *testing.T, dir, file string) []byte {
	t.Helper()
	b, err := fs.ReadFile(os.DirFS(dir), file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSaveWhereNothingCanBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, golden(t, "tied").Save(file, hf.F32), "saving the model", file)
}
