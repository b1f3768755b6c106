package lora_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/lora"
	"gotune/model"
)

// files are the golden adapter's two files with keys of its config changed; the
// value nil removes a key.
func files(t *testing.T, change map[string]any) fstest.MapFS {
	t.Helper()
	dir := filepath.Join(folder("tied"), "adapter")
	weights, err := os.ReadFile(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	maps.Copy(keys, change)
	maps.DeleteFunc(keys, func(key string, _ any) bool { v, changed := change[key]; return changed && v == nil })
	if raw, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"adapter_config.json": {Data: raw}, "adapter_model.safetensors": {Data: weights}}
}

// Options that change nothing in a finished adapter are passed over.
func TestLoadHarmless(t *testing.T) {
	for key, value := range map[string]any{
		"init_lora_weights": "gaussian", "peft_version": "0.7.0", "base_model_name_or_path": "elsewhere", "inference_mode": false,
		"modules_to_save": []string{}, "use_rslora": nil, "rank_pattern": nil, "task_type": nil, "lora_dropout": 0.25,
		"layers_to_transform": []int{1, 0, 1}, "layers_pattern": "", "exclude_modules": []string{}, "ensure_weight_tying": true,
	} {
		if _, err := lora.Load(files(t, map[string]any{key: value}), "adapter", tiny(t)); err != nil {
			t.Errorf("%s = %v: %v", key, value, err)
		}
	}
}

func TestLoadAlpha(t *testing.T) {
	for _, c := range []struct {
		value any
		want  float64
	}{{16, 16}, {2.5, 2.5}, {nil, 8}} {
		ad, err := lora.Load(files(t, map[string]any{"lora_alpha": c.value}), "adapter", tiny(t))
		if err != nil || ad.Config.Alpha != c.want {
			t.Errorf("lora_alpha %v: %v, want %g", c.value, err, c.want)
		}
	}
}

func TestLoadWrongConfig(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		parts []string
	}{
		{"use_dora", true, []string{"no tensor", "down_proj.lora_magnitude_vector"}},
		{"use_dora", "yes", []string{`"use_dora"`}},
		{"use_rslora", 3, []string{`"use_rslora"`}},
		{"fan_in_fan_out", true, []string{`"fan_in_fan_out"`}},
		{"lora_bias", true, []string{`"lora_bias"`}},
		{"sparkle", 3, []string{`"sparkle"`, "3"}},
		{"rank_pattern", map[string]int{"q_proj": 8}, []string{"q_proj.lora_A", "[4 32]", "[8 32]"}},
		{"rank_pattern", map[string]int{"w_proj": 8}, []string{"rank_pattern", `"w_proj" matches no adapted layer`, "q_proj"}},
		{"rank_pattern", map[string]int{"gate_proj": 8}, []string{"rank_pattern", `"gate_proj" matches no adapted layer`}},
		{"rank_pattern", map[string]int{"q_proj": 0}, []string{"rank_pattern", "is 0"}},
		{"rank_pattern", []int{1}, []string{`"rank_pattern"`}},
		{"alpha_pattern", map[string]int{"q(proj": 8}, []string{"alpha_pattern", `"q(proj" is no regular expression`}},
		{"alpha_pattern", map[string]int{"down_proj|x)(": 8}, []string{"alpha_pattern", "is no regular expression"}},
		{"alpha_pattern", map[string]int{"q_proj": -1}, []string{"alpha_pattern", "is -1"}},
		{"modules_to_save", []string{"lm_head"}, []string{"no tensor base_model.model.lm_head.weight"}},
		{"modules_to_save", []string{"classifier"}, []string{"modules_to_save", `"classifier"`, "lm_head"}},
		{"modules_to_save", []string{"model"}, []string{"left out by exclude_modules or modules_to_save"}},
		{"exclude_modules", []string{"query"}, []string{"exclude_modules", `"query" matches no module`}},
		{"exclude_modules", ".*query", []string{"exclude_modules", "matches no module"}},
		{"exclude_modules", []string{"self_attn.q_proj", "down_proj", "k_proj", "v_proj", "up_proj"}, []string{"left out by exclude_modules"}},
		{"layers_to_transform", []int{0, 2}, []string{"layer 2", "0…1"}},
		{"layers_to_transform", -1, []string{"layer -1", "from 0"}},
		{"layers_to_transform", "all", []string{`"layers_to_transform"`, "a number or a list"}},
		{"layers_to_transform", []int{0}, []string{"match nothing", "layers.1"}}, // the file has both
		{"layers_pattern", "layers", []string{"layers_pattern is layers", "no layers_to_transform"}},
		{"init_lora_weights", "pissa_niter_many", []string{`"init_lora_weights"`, "pissa_niter_4"}},
		{"init_lora_weights", "corda", []string{`"init_lora_weights"`, "corda", "olora"}},
		{"bias", "all", []string{"bias is all", "no such biases"}},
		{"bias", "some", []string{`"some"`, "lora_only"}},
		{"peft_type", "IA3", []string{`"peft_type": it is "IA3", not "LORA"`}},
		{"trainable_token_indices", []int{1, 2}, []string{`"trainable_token_indices": it is [1,2], which`}},
		{"target_modules", ".*w_proj", []string{"lora targets .*w_proj match no layer", "q_proj"}},
		{"target_modules", "q_proj", []string{"lora targets (q_proj) match no layer"}}, // as a text it is the whole name
		{"target_modules", ".*(q_proj|norm)", []string{"input_layernorm", "cannot be adapted"}},
		{"target_modules", "(a|a)*b)", []string{"no regular expression"}},
		{"target_modules", 7, []string{`"target_modules"`, "list of names"}},
		{"target_modules", []string{"query"}, []string{`"query"`, "does not fit the model", "q_proj"}},
		{"target_modules", nil, []string{`"target_modules"`, "needed"}},
		{"r", nil, []string{`"r"`, "needed"}},
		{"r", 0, []string{"rank is 0"}},
		{"r", -4, []string{"rank is -4"}},
		{"r", "four", []string{`"r"`}},
		{"r", 5, []string{"down_proj.lora_A", "[4 48]", "[5 48]"}},
		{"lora_alpha", -1, []string{"alpha is -1"}},
		{"lora_dropout", 1, []string{"dropout is 1"}},
	} {
		_, err := lora.Load(files(t, map[string]any{c.key: c.value}), "my adapter", tiny(t))
		wants(t, err, append(c.parts, "my adapter")...)
	}
}

// rewrite changes the tensors of an adapter's file.
func rewrite(t *testing.T, src fstest.MapFS, change func(map[string]hf.Tensor)) {
	t.Helper()
	tensors, err := hf.ReadFS(src, "adapter_model.safetensors", "golden")
	if err != nil {
		t.Fatal(err)
	}
	change(tensors)
	path := filepath.Join(t.TempDir(), "f")
	if err := hf.WriteFile(path, tensors, hf.F32); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	src["adapter_model.safetensors"] = &fstest.MapFile{Data: raw}
}

func TestLoadWrongFiles(t *testing.T) {
	const q = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
	for _, c := range []struct {
		change func(fstest.MapFS)
		parts  []string
	}{
		{func(f fstest.MapFS) { delete(f, "adapter_config.json") }, []string{"adapter_config.json", "not exist"}},
		{func(f fstest.MapFS) { delete(f, "adapter_model.safetensors") }, []string{"no adapter_model.safetensors"}},
		{func(f fstest.MapFS) { f["adapter_config.json"].Data = []byte("[]") }, []string{"adapter_config.json", "not a JSON object"}},
		{func(f fstest.MapFS) { f["adapter_config.json"].Data = nil }, []string{"adapter_config.json", "not a JSON object"}},
		{func(f fstest.MapFS) {
			d := f["adapter_model.safetensors"].Data
			f["adapter_model.safetensors"].Data = d[:len(d)-8]
		}, []string{"adapter_model.safetensors", "truncated"}},
		{func(f fstest.MapFS) { f["adapter_model.safetensors"].Data = nil }, []string{"adapter_model.safetensors"}},
		{func(f fstest.MapFS) { rewrite(t, f, func(ts map[string]hf.Tensor) { delete(ts, q) }) }, []string{"no tensor " + q}},
		{func(f fstest.MapFS) {
			rewrite(t, f, func(ts map[string]hf.Tensor) { ts["model.q_proj.lora_A"] = ts[q]; delete(ts, q) })
		}, []string{"no tensor " + q + ", and 1 that match nothing in the model, the first is model.q_proj.lora_A"}},
		{func(f fstest.MapFS) {
			rewrite(t, f, func(ts map[string]hf.Tensor) { ts["base_model.model.extra"] = ts[q] })
		}, []string{"match nothing", "base_model.model.extra"}},
		{func(f fstest.MapFS) {
			rewrite(t, f, func(ts map[string]hf.Tensor) { ts[q].Data[3] = float32(math.NaN()) })
		}, []string{"tensor " + q + " holds NaN", "damaged"}},
	} {
		src := files(t, nil)
		c.change(src)
		_, err := lora.Load(src, "my adapter", tiny(t))
		wants(t, err, append(c.parts, "my adapter")...)
	}
}

// An adapter that cannot be made leaves the model as it was: here the head would have been
// given a weight of its own before the second name is found to be wrong.
func TestFailureLeavesTheModel(t *testing.T) {
	m := tiny(t)
	c := lora.Config{Rank: 2, Alpha: 2, Targets: []string{"q_proj"}, ModulesToSave: []string{"lm_head", "classifier"}}
	for name, make := range map[string]func() error{
		"New":     func() error { _, err := lora.New(c, m, 1); return err },
		"Outline": func() error { _, err := lora.Outline(c, m); return err },
		"Load": func() error {
			_, err := lora.Load(files(t, map[string]any{"modules_to_save": c.ModulesToSave}), "adapter", m)
			return err
		},
	} {
		wants(t, make(), `"classifier"`)
		if !m.Tied() {
			t.Errorf("%s: the head is not tied any more", name)
		}
	}
}

// An adapter of one base is refused by another, wider, deeper or flatter.
func TestLoadForAnotherBase(t *testing.T) {
	_, err := lora.Load(files(t, nil), "adapter", modeltest.Load(t, folder("untied")))
	wants(t, err, "k_proj.lora_B.weight", "[16 4]", "[24 4]", "another base")
	for layers, part := range map[int]string{1: "match nothing", 3: "no tensor"} {
		c := tiny(t).Config
		c.Layers = layers
		m, err := model.New(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = lora.Load(files(t, nil), "adapter", m)
		wants(t, err, part, "model.layers.")
	}
}

// No config makes Load panic, and none that it takes is out of range.
func FuzzLoadConfig(f *testing.F) {
	for _, s := range []string{
		`{"r":4,"lora_alpha":8,"target_modules":["q_proj"],"peft_type":"LORA"}`, `{"r":4,"target_modules":"q"}`,
		`{"r":2,"target_modules":".*(q|v)_proj","use_dora":true,"rank_pattern":{"q_proj":1},"alpha_pattern":{".*v_proj":0.5}}`,
		`{"r":2,"target_modules":"all-linear","exclude_modules":"(a+)+$","modules_to_save":["lm_head","norm"],"ensure_weight_tying":true}`,
		`{"r":2,"target_modules":["q_proj"],"layers_to_transform":[0],"layers_pattern":["layers"],"bias":"lora_only","init_lora_weights":"pissa_niter_2"}`,
		`{"r":1e99}`, `{"rank_pattern":{"a":1}}`, `{"R":4,"r":null}`, `null`, `[]`, `{`,
	} {
		f.Add([]byte(s))
	}
	m := tiny(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		src := fstest.MapFS{"adapter_config.json": {Data: raw}, "adapter_model.safetensors": {Data: []byte{2, 0, 0, 0, 0, 0, 0, 0, '{', '}'}}}
		if _, err := lora.Load(src, "fuzz", m); err == nil {
			t.Errorf("loaded a file without tensors: %s", raw)
		}
	})
}
