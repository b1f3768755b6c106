package train

import (
	"reflect"
	"strings"
	"testing"
)

func TestRecipeErrorsNameThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"max_steps: 1e-1\n":                               "[1:12] ",
		"lora_rank: 2\nlora_rnak: 3\n":                    `[2:1] unknown field "lora_rnak"`,
		"lora_rank: many\n":                               "[1:12] ",
		"lora_rank: 2.5\n":                                "[1:12] lora_rank is 2.5; it must be a whole number",
		"seed: 1\nlearning_rate: \"0.1\"\n":               "[2:16] learning_rate is a text; it must be a number",
		"seed: -1\n":                                      "[1:7] ",
		"data: rows.jsonl\n":                              "[1:7] string was used where sequence is expected",
		"shuffle: 1\n":                                    "[1:10] ",
		"- 1\n":                                           "[1:1] ",
		"seed: 1\nseed: 2\n":                              `[2:1] mapping key "seed" already defined`,
		"seed: 1\n---\nlearning_rate: 2\n":                "[3:1",
		"seed: [1\n":                                      "[1:7] ",
		"seed: 1\nlearning_rate: -1\n":                    "[2:16] learning_rate is -1; it must be at least 0",
		"stages:\n  - name: a\n    lora_rank: 0\n":        "[3:16] lora_rank is 0; it must be at least 1",
		"schedule: sine\n":                                `[1:11] schedule is "sine", which is not supported (supported: constant, `,
		"epochs: .nan\n":                                  "[1:9] epochs is NaN",
		"epochs: 5e\n":                                    `[1:9] epochs is "5e"; it must be a number`,
		"lora_r: 8\n":                                     `[1:1] unknown field "lora_r"; perhaps lora_rank is meant`,
		"stages:\n  - name: a\n    model: b\n":            "[3:5] model is a key of the whole recipe and stands beside stages",
		"data:\n  - {path: a, repeet: 2}\n":               `[2:15] unknown field "repeet"; perhaps repeat is meant`,
		"data:\n  - a\n  - {path: a, repeat: -2}\n":       "[3:23] repeat is -2; it must be at least 0",
		"data:\n  - {path: a, repeat: x}\n":               `[2:23] repeat is "x"; it must be a number`,
		"data:\n  - {path: a, rows: 2.5}\n":               "[2:21] rows is 2.5; it must be a whole number",
		"data:\n  - {rows: 3}\n":                          "[2:5] an entry has no path",
		"eval_data:\n  - {path: a, rows: 3, weight: 1}\n": "[2:5] rows, repeat and weight are three ways to say how much of a is taken: give one",
		"data:\n  - {path: a, columns: \"prompt=q\"}\n":   `[2:5] a: columns "prompt=q": name text alone`,
		"stages: []\n":                                    "[1:9] stages is a list of stages",
	} {
		r := DefaultRecipe()
		err := r.Parse("x.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "recipe x.yaml: "+want) {
			t.Errorf("%q: got %v, want …%s…", text, err, want)
		}
	}
}

func TestRecipeKeepsWhatIsNotNamed(t *testing.T) {
	for text, change := range map[string]func(*Recipe){
		"":                                   func(*Recipe) {},
		"# no key yet\n":                     func(*Recipe) {},
		"learning_rate: 2e-4\n":              func(r *Recipe) { r.LearningRate = 2e-4 },
		"learning_rate: 1\nmax_steps: 1e3\n": func(r *Recipe) { r.LearningRate, r.MaxSteps = 1, 1000 },
		"data: [a.jsonl, b.txt]\n":           func(r *Recipe) { r.Data = Paths("a.jsonl", "b.txt") },
	} {
		want, got := DefaultRecipe(), DefaultRecipe()
		change(&want)
		if err := got.Parse("x.yaml", []byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// A recipe that is written and read is the same, to the last bit of a number.
func TestRecipeThereAndBack(t *testing.T) {
	want := DefaultRecipe()
	want.Data, want.LearningRate, want.Seed, want.AdamEpsilon = Paths("a b.jsonl"), 1.0/3e4, 1<<63+1, 1e-30
	want.Columns = "prompt=a: b,completion=c # d"
	raw, err := want.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got := DefaultRecipe()
	if err := got.Parse("recipe.yaml", raw); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// Whatever a file holds, a recipe is read or refused, and one that is read can be
// written and read again.
func FuzzRecipe(f *testing.F) {
	f.Add("lora_rank: 2\nlearning_rate: 1e-3\ndata: [a.jsonl, {path: b, rows: 3}]\n")
	f.Add("stages:\n  - {name: a, objective: cpt, param_groups: [{pattern: x, lr_scale: 0.1}]}\n  - name: b\n")
	f.Add("a: &a [x]\nb: [*a, *a]\n")
	f.Add("data: !00 x\n")
	f.Add("seed: !!int 3\n---\n? [1]\n: |\n  x\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := DefaultRecipe()
		if err := r.Parse("x.yaml", []byte(text)); err != nil {
			return
		}
		raw, err := r.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := DefaultRecipe()
		if err := again.Parse("recipe.yaml", raw); err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
	})
}
