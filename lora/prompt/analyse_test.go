package prompt_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotune/lora/prompt"
)

// The norms are those that numpy finds in what PEFT saved.
func TestAnalyse(t *testing.T) {
	near := func(what string, got, want []float64) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-12*want[i] {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
	for kind, want := range map[string]struct{ tokens, keys, values []float64 }{
		"prompt": {tokens: []float64{2.927136843148113, 2.104154327365834, 2.3695855514144895}},
		"prefix": {
			[]float64{3.4973438652220525, 3.4047265583423094, 4.619650929874687},
			[]float64{3.272162962425413, 2.8888464511746736}, []float64{4.185101363422479, 2.932097213484913},
		},
	} {
		dir := filepath.Join("testdata", "tied-"+kind, "trained")
		l, err := prompt.Analyse(os.DirFS(dir), dir)
		if err != nil {
			t.Fatal(err)
		}
		near(kind+" tokens", l.Tokens, want.tokens)
		near(kind+" keys", l.Keys, want.keys)
		near(kind+" values", l.Values, want.values)
		if l.VirtualTokens != 3 || l.Broken || l.Width != map[string]int{"prompt": 32, "prefix": 16}[kind] {
			t.Errorf("%s: %+v", kind, l)
		}
	}
}

// files are those of a golden adapter, in memory.
func files(t testing.TB, folder string) fstest.MapFS {
	all := fstest.MapFS{}
	for _, name := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join("testdata", folder, "trained", name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: raw}
	}
	return all
}

func TestAnalyseFindsWhatIsNoNumber(t *testing.T) {
	src := files(t, "tied-prefix")
	raw := src["adapter_model.safetensors"].Data
	binary.LittleEndian.PutUint32(raw[len(raw)-4:], math.Float32bits(float32(math.NaN())))
	l, err := prompt.Analyse(src, "x")
	if err != nil || !l.Broken || l.Tokens[2] != 0 || l.Values[1] != 0 || l.Tokens[0] == 0 {
		t.Errorf("%+v, %v", l, err)
	}
	for want, change := range map[string][2]string{
		"token_dim is 0":                 {`"token_dim": 16`, `"token_dim": 0`},
		"num_layers -4611686018427387":   {`"num_layers": 2`, `"num_layers": -4611686018427387904`},
		"num_layers 4611686018427387":    {`"num_layers": 2`, `"num_layers": 4611686018427387905`},
		"has shape [3 64], its config":   {`"num_layers": 2`, `"num_layers": 3`},
		`"peft_type": it is "CARTRIDGE"`: {`"PREFIX_TUNING"`, `"CARTRIDGE"`},
	} {
		src := files(t, "tied-prefix")
		src["adapter_config.json"].Data = []byte(strings.Replace(string(src["adapter_config.json"].Data), change[0], change[1], 1))
		if _, err := prompt.Analyse(src, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// No files make the readers panic, and what they load is saved and loaded as it was.
func FuzzLoad(f *testing.F) {
	for _, folder := range []string{"tied-prompt", "tied-prefix", "tied-projection"} {
		src := files(f, folder)
		f.Add(src["adapter_config.json"].Data, src["adapter_model.safetensors"].Data)
	}
	weights := files(f, "tied-prefix")["adapter_model.safetensors"].Data
	for _, text := range []string{
		`{"peft_type":"PREFIX_TUNING","num_virtual_tokens":3,"token_dim":16,"num_layers":2,"num_attention_heads":2}`,
		`{"peft_type":"PREFIX_TUNING","num_virtual_tokens":3,"token_dim":16,"num_layers":2,"num_attention_heads":2,"encoder_hidden_size":-1}`,
		`{"peft_type":"PROMPT_TUNING","num_virtual_tokens":1e9,"prompt_tuning_init":"TEXT"}`, `{"peft_type":"LORA"}`, `{"PEFT_TYPE":"PREFIX_TUNING"}`, `[]`, `{`,
	} {
		f.Add([]byte(text), weights)
	}
	m := base(f, "tied")
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		src := fstest.MapFS{"adapter_config.json": {Data: config}, "adapter_model.safetensors": {Data: weights}}
		_, wrong := prompt.Analyse(src, "fuzz")
		ad, err := prompt.Load(src, "fuzz", m)
		if err != nil {
			return
		}
		if wrong != nil {
			t.Errorf("loaded, but not described: %v", wrong)
		}
		dir := t.TempDir()
		if err := ad.Save(dir, "base"); err != nil {
			t.Fatal(err)
		}
		again, err := prompt.Load(os.DirFS(dir), dir, m)
		if err != nil {
			t.Fatalf("what was saved is not loaded: %v", err)
		}
		same := slices.EqualFunc(ad.Parameters()[0].Value, again.Parameters()[0].Value, func(a, b float32) bool {
			return math.Float32bits(a) == math.Float32bits(b)
		})
		if !same || again.Virtual() != ad.Virtual() {
			t.Error("what was saved is another one when it is loaded")
		}
	})
}
