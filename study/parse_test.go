package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each mistake in a study is told with the place where it stands.
func TestParseErrors(t *testing.T) {
	base := func(extra string) string {
		return `id: x
seeds: {full: 2, tuning: 2}
shared: {data: [world:chat]}
arms:
  a: {lora_rank: 1}
  b: {lora_rank: 2}
metrics:
  m: {score: loss, data: world:heldout}
  n: {run: tokens}
` + extra
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":                  {"# nothing", "the file is empty"},
		"a list":                 {"- a", "[1:1] a study is a mapping"},
		"unknown key":            {base("test: []"), "[10:1] unknown key \"test\" of a study; perhaps tests is meant"},
		"unknown key of a test":  {base("tests: [{metrik: m}]"), "perhaps metric is meant"},
		"no id":                  {"title: x", "id is missing"},
		"an id that is a path":   {"id: ../x", "it is made of letters"},
		"a kind":                 {"id: x\nkind: guess", "[2:7] kind is \"guess\""},
		"no arms":                {"id: x\nmetrics: {m: {run: tokens}}", "there is nothing to run"},
		"no metrics":             {"id: x\narms: {a: {data: [world:chat]}}", "no metrics"},
		"a recipe's key":         {"id: x\nmetrics: {m: {run: tokens}}\narms:\n  a: {lora_rnk: 3}", "[4:7] unknown field \"lora_rnk\"; perhaps lora_rank is meant"},
		"a recipe's value":       {"id: x\nshared: {data: [world:chat]}\nmetrics: {m: {run: tokens}}\narms:\n  a: {learning_rate: -1}", "[5:22] learning_rate is -1; it must be at least 0"},
		"a value of vary":        {"id: x\nshared: {data: [world:chat]}\nmetrics: {m: {run: tokens}}\nvary: {lora_rank: [2, 0]}", "[4:23] lora_rank is 0"},
		"output":                 {"id: x\nshared: {data: [world:chat], output: here}\nmetrics: {m: {run: tokens}}\narms: {a: {}}", "are set by the study"},
		"no data":                {"id: x\nmetrics: {m: {run: tokens}}\narms:\n  a: {lora_rank: 3}", "[4:3] a: data is missing"},
		"from nowhere":           {base("") + "prepare: {read: {}}\n" + "vary: {epochs: [1]}", ""},
		"from what is not there": {strings.Replace(base("prepare: {read: {}}"), "b: {", "b: {from: reed, ", 1), "[6:3] b begins with \"reed\", which is not prepared; perhaps read is meant"},
		"another adapter":        {strings.Replace(base("prepare: {read: {}}"), "b: {", "b: {from: read, ", 1), "keeps the adapter of read but has other lora_* keys"},
		"a seed of both":         {"id: x\nseeds: {full: [5, 1001], tuning: 2}", "[2:8] the seed 1001 is used for tuning and for testing"},
		"a seed twice":           {"id: x\nseeds: {full: [5, 5]}", "each once"},
		"a metric's family":      {"id: x\nmetrics: {m: {data: x}}", "it has none of score, curve, run"},
		"two families":           {"id: x\nmetrics: {m: {run: tokens, score: loss}}", "a metric is one of them"},
		"a product of nothing":   {"id: x\nmetrics:\n  m: {product: [n]}\n  n: {run: tokens}", "[3:6] metric m: it is a product of \"n\", which is no metric that stands before it"},
		"a product and a score":  {"id: x\nmetrics: {n: {run: tokens}, m: {product: [n], run: steps}}", "a metric is one of them"},
		"an unknown score":       {"id: x\nmetrics:\n  m: {score: exact_mach, data: x}", "[3:6] metric m: there is no score \"exact_mach\"; perhaps exact_match is meant"},
		"a score without data":   {"id: x\nmetrics: {m: {score: loss}}", "a score needs data"},
		"bits without a prior":   {"id: x\nmetrics: {m: {score: bits, data: x}}", "bits needs prior"},
		"no threshold":           {"id: x\nmetrics: {m: {curve: steps_to, data: x}}", "steps_to needs threshold"},
		"a bad pattern":          {"id: x\nmetrics: {m: {score: format, data: x, pattern: '('}}", "pattern"},
		"a curve of nothing":     {strings.Replace(base(""), "n: {run: tokens}", "n: {curve: rise}", 1), "neither has data"},
		"an unknown metric":      {base("tests:\n  - {metric: k, difference: [a, b], expect: above}"), "[11:5] there is no metric \"k\"; there are m, n"},
		"an unknown arm":         {base("tests:\n  - {metric: m, difference: [a, c], expect: above}"), "[11:5] there is no arm \"c\"; there are a, b"},
		"itself":                 {base("tests:\n  - {metric: m, difference: [a, a], expect: above}"), "[11:5] the test compares the arm a with itself"},
		"itself in a ratio":      {base("tests:\n  - {metric: m, ratio: [b, b], expect: above}"), "compares the arm b with itself"},
		"one arm":                {base("tests:\n  - {metric: m, difference: [a], expect: above}"), "of two arms, here are 1"},
		"no contrast":            {base("tests:\n  - {metric: m, expect: above}"), "here are 0"},
		"two contrasts":          {base("tests:\n  - {metric: m, difference: [a, b], level: a, expect: above}"), "here are 2"},
		"no expectation":         {base("tests:\n  - {metric: m, difference: [a, b]}"), "expect is missing"},
		"an expectation":         {base("tests:\n  - {metric: m, difference: [a, b], expect: more}"), "[11:45] expect is \"more\""},
		"equal without a margin": {base("tests:\n  - {metric: m, difference: [a, b], expect: equal}"), "want a number above 0"},
		"a trend over nothing":   {base("tests:\n  - {metric: m, trend: {over: epochs}, expect: above}"), "needs two arms that have it as a number"},
		"a scale":                {base("tests:\n  - {metric: m, trend: {over: lora_rank, scale: log3}, expect: above}"), "scale is \"log3\""},
		"the best without a way": {base("tests:\n  - {metric: n, regret: {arm: a, among: [a, b]}, expect: not-above, margin: 1}"), "better: higher or lower"},
		"an arm in all":          {base("tests:\n  - {metric: m, all: [{difference: [a, c], expect: above}]}"), "there is no arm \"c\""},
		"tune without a metric":  {base("tune: {learning_rate: [1e-4, 1e-3]}"), "tune has no metric"},
		"tune by what is not":    {base("tune: {learning_rate: [1e-4, 1e-3], metric: q}"), "tune chooses by the metric \"q\""},
		"one value to tune":      {base("tune: {learning_rate: [1e-4], metric: m}"), "[10:23] tune chooses from at least two values"},
		"tuned and varied":       {base("tune: {learning_rate: [1e-4, 1e-3], metric: m}\nvary: {learning_rate: [1, 2]}"), "a key is either what arms differ in or what each chooses"},
		"a budget":               {base("budget: {time: soon}"), "it is a duration"},
		"an alias":               {"id: &a x\ntitle: *a", "anchors and aliases are not used in a study"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("s.yaml", []byte(c.text))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%v", err)
			case c.want == "":
			case err == nil:
				t.Errorf("no error, want %q", c.want)
			case !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "study s.yaml: "):
				t.Errorf("the error is\n%v\nwant %q", err, c.want)
			}
		})
	}
}

// The grid multiplies the arms, and texts have the run's seed.
func TestArms(t *testing.T) {
	s, err := Parse("s.yaml", []byte(`
id: x
seeds: {full: 2}
shared: {data: ["world:cpt?draw={seed}"], objective: cpt}
arms:
  plain:
  noisy: {neftune_noise_alpha: 5, attributes: {noise: 5}}
vary: {lora_rank: [2, 4], learning_rate: [1e-4]}
metrics: {m: {score: loss, data: "world:cpt-heldout?draw={seed}"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"plain,lora_rank=2,learning_rate=0.0001", "plain,lora_rank=4,learning_rate=0.0001",
		"noisy,lora_rank=2,learning_rate=0.0001", "noisy,lora_rank=4,learning_rate=0.0001",
	}
	if got := namesOf(s.Arms); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("arms are %q, want %q", got, want)
	}
	r, err := s.recipe(&s.Arms[3], map[string]float64{"epochs": 2}, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Data[0].Path != "world:cpt?draw=7" || r.Seed != 7 || r.Rank != 4 || r.Epochs != 2 || r.NEFTuneNoiseAlpha != 5 {
		t.Errorf("the recipe has %v, seed %d, rank %d, %g epochs, noise %g", r.Data, r.Seed, r.Rank, r.Epochs, r.NEFTuneNoiseAlpha)
	}
	if got := s.Metrics[0].at(&s.Arms[0], 7).Spec(); got != "loss on world:cpt-heldout?draw=7" {
		t.Errorf("the metric is %q", got)
	}
	if a := s.attributes()[2]; a["lora_rank"] != 2 || a["noise"] != 5 || a["neftune_noise_alpha"] != 5 || len(a) != 3 {
		t.Errorf("attributes are %v", a)
	}
}

// A key of stages in an arm is set in all stages that arms share, NAME.key in one.
func TestStages(t *testing.T) {
	s, err := Parse("s.yaml", []byte(`
id: x
seeds: {full: 1}
shared:
  stages:
    - {name: read, objective: cpt, data: [world:cpt]}
    - {name: ask, data: [world:near]}
arms:
  all: {learning_rate: 0.5}
  one: {ask.learning_rate: 0.25, scale: {read.learning_rate: 10}}
metrics: {m: {run: tokens}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]float64{{0.5, 0.5}, {2e-3, 0.25}} {
		r, err := s.recipe(&s.Arms[i], nil, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]float64{r.Stages[0].LearningRate, r.Stages[1].LearningRate}; got != want {
			t.Errorf("%s: learning rates are %v, want %v", s.Arms[i].Name, got, want)
		}
	}
	if a := s.attributes()[1]; a["ask.learning_rate"] != 0.25 {
		t.Errorf("attributes are %v", a)
	}
}

// The study of the documentation is one.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "docs", "studies.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(raw), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	if _, err := Parse("studies.md", []byte(text)); err != nil {
		t.Error(err)
	}
	for _, m := range Measures() {
		if !strings.Contains(string(raw), "`"+m.Name) {
			t.Errorf("docs/studies.md does not name %s", m.Name)
		}
	}
}
