package prompt_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotune/internal/exec"
	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/lora/prompt"
	"gotune/model"
)

// The golden models, and what is learned of each.
var (
	models = []string{"tied", "untied", "gpt2"}
	kinds  = map[string]prompt.Config{
		"prompt":     {Type: prompt.PromptTuning, VirtualTokens: 3},
		"prefix":     {Type: prompt.PrefixTuning, VirtualTokens: 3},
		"projection": {Type: prompt.PrefixTuning, VirtualTokens: 3, Projection: true, EncoderHiddenSize: 5},
	}
)

func base(t testing.TB, name string) *model.Model {
	return modeltest.Load(t, filepath.Join("..", "..", "model", "testdata", name))
}

// everywhere runs a test for every model and kind, whose golden files are in the folder.
func everywhere(t *testing.T, test func(t *testing.T, name, kind, folder string)) {
	for _, name := range models {
		for kind := range kinds {
			t.Run(name+" "+kind, func(t *testing.T) { test(t, name, kind, filepath.Join("testdata", name+"-"+kind)) })
		}
	}
}

// started returns an adapter with the values that PEFT began with.
func started(t *testing.T, m *model.Model, kind, folder string) *prompt.Adapter {
	t.Helper()
	ad, err := prompt.New(kinds[kind], m, 1)
	if err != nil {
		t.Fatal(err)
	}
	take(t, ad, modeltest.Tensors(t, folder, "start.safetensors"))
	return ad
}

func take(t *testing.T, ad *prompt.Adapter, tensors map[string]hf.Tensor) {
	t.Helper()
	if len(tensors) != len(ad.Parameters()) {
		t.Fatalf("%d parameters, %d in the file", len(ad.Parameters()), len(tensors))
	}
	for _, p := range ad.Parameters() {
		x, ok := tensors[p.Name]
		if !ok || !slices.Equal(x.Shape, p.Shape) {
			t.Fatalf("%s has shape %v, in the file %v", p.Name, p.Shape, x.Shape)
		}
		copy(p.Value, x.Data)
	}
}

func compile(t *testing.T, m *model.Model, ad *prompt.Adapter, b modeltest.Batch, train, recompute bool) *model.Program {
	t.Helper()
	rows, length := b.Shape()
	o := model.ProgramOptions{Rows: rows, Length: length, Project: ad.Project}
	if train {
		o.Parameters = ad.Parameters()
	}
	if recompute {
		o.Recompute = model.AllBlocks
	}
	p, err := m.Program(exec.NewArena(nil), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Loss, nll of each token, every gradient and ten steps of AdamW, against PEFT.
func TestGolden(t *testing.T) {
	everywhere(t, func(t *testing.T, name, kind, folder string) {
		golden := modeltest.Read(t, folder)
		m := base(t, name)
		ad := started(t, m, kind, folder)
		p := compile(t, m, ad, golden.Batches[0], true, false)
		modeltest.FirstBatch(t, golden, golden.LoRA, p, ad.Parameters(), modeltest.Tensors(t, folder, "grads.safetensors"))
		modeltest.TenSteps(t, golden, golden.LoRA, p, ad.Parameters(), modeltest.Tensors(t, folder, "final.safetensors"))
	})
}

// What is computed twice to save memory has the same bits.
func TestRecompute(t *testing.T) {
	everywhere(t, func(t *testing.T, name, kind, folder string) {
		golden := modeltest.Read(t, folder)
		m := base(t, name)
		var grads [][]float32
		for _, twice := range []bool{false, true} {
			ad := started(t, m, kind, folder)
			p := compile(t, m, ad, golden.Batches[0], true, twice)
			golden.Batches[0].Write(p.Inputs)
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			var all []float32
			for _, q := range ad.Parameters() {
				all = append(all, q.Grad...)
			}
			grads = append(grads, all)
		}
		if !slices.Equal(grads[0], grads[1]) {
			t.Error("gradients differ")
		}
	})
}

func nll(t *testing.T, m *model.Model, ad *prompt.Adapter, b modeltest.Batch) []float32 {
	t.Helper()
	p := compile(t, m, ad, b, false, false)
	b.Write(p.Inputs)
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	var all []float32
	rows, length := b.Shape()
	for r := range rows {
		all = append(all, p.NLL()[r*length:(r+1)*length-1]...)
	}
	return all
}

// What PEFT saves before and after training has the loss here that it has there.
func TestLoadsWhatPEFTSaves(t *testing.T) {
	everywhere(t, func(t *testing.T, name, kind, folder string) {
		golden := modeltest.Read(t, folder)
		m := base(t, name)
		raw, err := os.ReadFile(filepath.Join(folder, "trained.json"))
		if err != nil {
			t.Fatal(err)
		}
		var trained [][]float64
		if err := json.Unmarshal(raw, &trained); err != nil {
			t.Fatal(err)
		}
		for part, want := range map[string][][]float64{"adapter": golden.LoRA.NLL, "trained": trained} {
			ad, err := prompt.Load(os.DirFS(filepath.Join(folder, part)), part, m)
			if err != nil {
				t.Fatal(err)
			}
			var flat []float32
			for _, row := range want {
				for _, v := range row {
					flat = append(flat, float32(v))
				}
			}
			modeltest.Near(t, part, nll(t, m, ad, golden.Batches[0]), flat, 1e-6)
		}
	})
}

// What is saved here is what PEFT saves: the same tensor to rounding, and every key of the
// configuration that PEFT's has and that changes something.
func TestSavesAsPEFTDoes(t *testing.T) {
	everywhere(t, func(t *testing.T, name, kind, folder string) {
		m := base(t, name)
		ad := started(t, m, kind, folder)
		take(t, ad, modeltest.Tensors(t, folder, "final.safetensors"))
		dir := t.TempDir()
		if err := ad.Save(dir, "base"); err != nil {
			t.Fatal(err)
		}
		got, want := modeltest.Tensors(t, dir, "adapter_model.safetensors"), modeltest.Tensors(t, filepath.Join(folder, "trained"), "adapter_model.safetensors")
		if len(got) != 1 || len(want) != 1 || !slices.Equal(got["prompt_embeddings"].Shape, want["prompt_embeddings"].Shape) {
			t.Fatalf("tensors %v, want %v", got, want)
		}
		bound := 0.0
		if kind == "projection" {
			bound = 1e-6
		}
		modeltest.Near(t, "prompt_embeddings", got["prompt_embeddings"].Data, want["prompt_embeddings"].Data, bound)
		a, b := keys(t, dir), keys(t, filepath.Join(folder, "trained"))
		for key, value := range b {
			if _, ok := a[key]; !ok && value != "null" && key != "peft_version" {
				t.Errorf("key %s, which is %s in PEFT's file, is not written", key, value)
			}
		}
		for key, value := range a {
			if b[key] != value && !(kind == "prefix" && key == "encoder_hidden_size") {
				t.Errorf("key %s is %s, PEFT has %s", key, value, b[key])
			}
		}
		again, err := prompt.Load(os.DirFS(dir), "saved", m)
		if err != nil {
			t.Fatal(err)
		}
		golden := modeltest.Read(t, folder)
		if !slices.Equal(nll(t, m, again, golden.Batches[0]), nll(t, m, ad, golden.Batches[0])) {
			t.Error("what is loaded again has other losses")
		}
	})
}

func keys(t *testing.T, dir string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for key, value := range values {
		all[key] = string(value)
	}
	return all
}

// Greedy texts and logits, token by token, with what was computed before kept.
func TestGenerates(t *testing.T) {
	everywhere(t, func(t *testing.T, name, kind, folder string) {
		m := base(t, name)
		ad := started(t, m, kind, folder)
		g := model.NewGenerator(m, nil, ad.Project)
		g.Virtual = ad.Virtual()
		for _, want := range modeltest.Read(t, folder).LoRA.Greedy {
			ids, err := g.Generate(t.Context(), want.Prompt, model.Sampling{Greedy: true, MaxNewTokens: len(want.IDs), RepetitionPenalty: want.Penalty}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(ids, want.IDs) {
				t.Errorf("after %d tokens: %v, want %v", len(want.Prompt), ids, want.IDs)
			}
		}
	})
}

func TestInitialValues(t *testing.T) {
	m := base(t, "tied")
	text, err := prompt.New(prompt.Config{Type: prompt.PromptTuning, VirtualTokens: 5, Init: prompt.Text, InitText: "x", InitIDs: []int32{7, 9}}, m, 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.EmbeddingRows([]int32{7, 9, 7, 9, 7})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(text.Parameters()[0].Value, want) {
		t.Error("the virtual tokens are not those of the text, repeated")
	}
	sampled, err := prompt.New(prompt.Config{Type: prompt.PromptTuning, VirtualTokens: 2, Init: prompt.SampleVocab}, m, 1)
	if err != nil {
		t.Fatal(err)
	}
	row, found := sampled.Parameters()[0].Value[:m.Config.HiddenSize], false
	for id := range m.Config.VocabSize {
		one, _ := m.EmbeddingRows([]int32{int32(id)})
		found = found || slices.Equal(one, row)
	}
	if !found {
		t.Error("a sampled virtual token is none of the vocabulary")
	}
	for seed := range uint64(2) {
		a, _ := prompt.New(kinds["projection"], m, seed)
		b, _ := prompt.New(kinds["projection"], m, 0)
		for i, p := range a.Parameters() {
			if slices.Equal(p.Value, b.Parameters()[i].Value) != (seed == 0) {
				t.Errorf("seed %d: %s is that of seed 0, or another one's", seed, p.Name)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	m := base(t, "tied")
	for want, c := range map[string]prompt.Config{
		`peft_type is "LORA"`:                                {Type: "LORA", VirtualTokens: 1},
		"num_virtual_tokens is 0":                            {Type: prompt.PromptTuning},
		"the model has only 128 positions":                   {Type: prompt.PrefixTuning, VirtualTokens: 128},
		"prompt_tuning_init_text is empty":                   {Type: prompt.PromptTuning, VirtualTokens: 1, Init: prompt.Text},
		`prompt_tuning_init is "OTHER"`:                      {Type: prompt.PromptTuning, VirtualTokens: 1, Init: "OTHER"},
		"belongs to PROMPT_TUNING":                           {Type: prompt.PrefixTuning, VirtualTokens: 1, Init: prompt.Text, InitText: "x"},
		"belong to PREFIX_TUNING":                            {Type: prompt.PromptTuning, VirtualTokens: 1, Projection: true},
		"has no token":                                       {Type: prompt.PromptTuning, VirtualTokens: 1, Init: prompt.Text, InitText: "x"},
		"token id 61 is outside the model's vocabulary":      {Type: prompt.PromptTuning, VirtualTokens: 1, Init: prompt.Text, InitText: "x", InitIDs: []int32{61}},
		"encoder_hidden_size is -1; it must not be negative": {Type: prompt.PrefixTuning, VirtualTokens: 1, Projection: true, EncoderHiddenSize: -1},
	} {
		if _, err := prompt.New(c, m, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	ad, err := prompt.New(kinds["prompt"], m, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ad.Merge(m); err == nil || !strings.Contains(err.Error(), "cannot be written into them") {
		t.Errorf("merged: %v", err)
	}
}

// Files that are damaged, of another base, or with what would change the adapter.
func TestLoadRefuses(t *testing.T) {
	m := base(t, "tied")
	good := func() fstest.MapFS {
		files := fstest.MapFS{}
		for _, name := range []string{"adapter_config.json", "adapter_model.safetensors"} {
			raw, err := os.ReadFile(filepath.Join("testdata", "tied-prefix", "adapter", name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = &fstest.MapFile{Data: raw}
		}
		return files
	}
	for want, change := range map[string][2]string{
		"not a JSON object":                          {"{", "["},
		`"peft_type": it is "CARTRIDGE"`:             {`"PREFIX_TUNING"`, `"CARTRIDGE"`},
		`"num_virtual_tokens" is needed`:             {`"num_virtual_tokens": 3`, `"num_virtual_tokens": 0`},
		"has shape [3 64], its config and the model": {`"num_virtual_tokens": 3`, `"num_virtual_tokens": 4`},
		"token_dim is 32, but the model's":           {`"token_dim": 16`, `"token_dim": 32`},
		"num_layers is 9, but the model has 2":       {`"num_layers": 2`, `"num_layers": 9`},
		"but the model has 2 heads of keys":          {`"num_attention_heads": 2`, `"num_attention_heads": 4`},
		`key "modules_to_save": it is ["x"]`:         {`"modules_to_save": null`, `"modules_to_save": ["x"]`},
		`key "num_transformer_submodules": it is 2`:  {`"num_transformer_submodules": 1`, `"num_transformer_submodules": 2`},
		`key "task_type": it is "SEQ_2_SEQ_LM"`:      {"CAUSAL_LM", "SEQ_2_SEQ_LM"},
	} {
		files := good()
		text := string(files["adapter_config.json"].Data)
		if !strings.Contains(text, change[0]) {
			t.Fatalf("%s has no %s", text, change[0])
		}
		files["adapter_config.json"].Data = []byte(strings.Replace(text, change[0], change[1], 1))
		if _, err := prompt.Load(files, "x", m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	for name := range good() {
		files := good()
		delete(files, name)
		if _, err := prompt.Load(files, "x", m); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error %v", name, err)
		}
	}
	raw := good()
	data := raw["adapter_model.safetensors"].Data
	binary.LittleEndian.PutUint32(data[len(data)-4:], math.Float32bits(float32(math.Inf(-1))))
	if _, err := prompt.Load(raw, "x", m); err == nil || !strings.Contains(err.Error(), "tensor prompt_embeddings holds -Inf: the adapter is damaged") {
		t.Errorf("a value that is no number: error %v", err)
	}
	if _, err := prompt.Load(good(), "x", base(t, "gpt2")); err == nil || !strings.Contains(err.Error(), "does not fit the model") {
		t.Errorf("another base: error %v", err)
	}
}

// What training goes on with is all that is trained, also of a projection, whose table alone
// is what PEFT has.
func TestRestores(t *testing.T) {
	everywhere(t, func(t *testing.T, name, kind, folder string) {
		m := base(t, name)
		want, dir := started(t, m, kind, folder), t.TempDir()
		if err := want.Checkpoint(dir, "base"); err != nil {
			t.Fatal(err)
		}
		got, err := prompt.New(kinds[kind], m, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Restore(os.DirFS(dir), dir); err != nil {
			t.Fatal(err)
		}
		for i, p := range want.Parameters() {
			if !slices.Equal(got.Parameters()[i].Value, p.Value) {
				t.Errorf("%s is not restored", p.Name)
			}
		}
		if err := got.Restore(fstest.MapFS{}, "empty"); err == nil || !strings.Contains(err.Error(), "adapter empty: the folder has no ") {
			t.Errorf("from nothing: %v", err)
		}
	})
}

// An outline has the names and shapes of an adapter, and needs no values of the model.
func TestOutline(t *testing.T) {
	whole := base(t, "tied")
	m, err := model.Outline(whole.Config)
	if err != nil {
		t.Fatal(err)
	}
	for kind, c := range kinds {
		if c.Type == prompt.PromptTuning {
			c.Init = prompt.SampleVocab
		}
		ad, err := prompt.Outline(c, m)
		if err != nil {
			t.Fatal(err)
		}
		want, err := prompt.New(c, whole, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range want.Parameters() {
			if q := ad.Parameters()[i]; q.Name != p.Name || !slices.Equal(q.Shape, p.Shape) || q.Value != nil {
				t.Errorf("%s: %s %v with %d values, want %s %v with none", kind, q.Name, q.Shape, len(q.Value), p.Name, p.Shape)
			}
		}
	}
}
