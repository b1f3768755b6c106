package registry

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gotune/train"
)

func TestFilter(t *testing.T) {
	r := synced(t, lab(t))
	tests := []struct {
		where  string // conditions between commas
		filter Filter
		want   []string
	}{
		{"", Filter{}, []string{"halfway", "all", "large", "small", "broken"}},
		{"lora_rank=8", Filter{}, []string{"halfway", "small"}},
		{"lora_rank!=8", Filter{}, []string{"large"}}, // full tuning has no rank
		{"lora_rank = 8.0,exact_match>0.2", Filter{}, []string{"small"}},
		{"learning_rate=0.00001", Filter{}, []string{"all"}},
		{"exact_match>=0.75", Filter{}, []string{"all", "large"}},
		{"loss<1.5", Filter{}, []string{"all", "large"}},
		{"full==true", Filter{}, []string{"all"}},
		{"method~LoRA", Filter{}, []string{"halfway", "large", "small"}},
		{"lora_targets~down_proj,seed=7", Filter{}, []string{"large"}},
		{"run~l,status!=broken", Filter{}, []string{"halfway", "all", "large", "small"}},
		{"steps<4,status!=broken", Filter{}, []string{"halfway"}},
		{"recall>=0", Filter{}, []string{"large", "small"}},
		{"k05-rise:recall>0", Filter{}, []string{"large"}},
		{"k06:recall>0", Filter{}, []string{}},
		{"arm~large", Filter{}, []string{"large"}},
		{"arm!=arm large", Filter{}, []string{"small"}},
		{"model=base,data~chat", Filter{}, []string{"halfway", "all", "large", "small"}},
		{"model='); DROP TABLE runs; --", Filter{}, []string{}},
		{"", Filter{Status: "unfinished"}, []string{"halfway"}},
		{"", Filter{Study: "k05-rise"}, []string{"large", "small"}},
		{"", Filter{Study: "k06"}, []string{}},
		{"", Filter{Since: noon.Add(time.Hour)}, []string{"halfway", "all", "large"}},
		{"loss<2", Filter{Since: noon.Add(time.Hour), Study: "k05-rise"}, []string{"large"}},
	}
	for _, tt := range tests {
		f := tt.filter
		for _, text := range strings.FieldsFunc(tt.where, func(r rune) bool { return r == ',' }) {
			c, err := ParseCondition(text)
			if err != nil {
				t.Fatal(err)
			}
			f.Where = append(f.Where, c)
		}
		if d := cmp.Diff(tt.want, names(listed(t, r, f))); d != "" {
			t.Errorf("%s %+v: %s", tt.where, tt.filter, d)
		}
	}
}

func TestConditionErrors(t *testing.T) {
	for text, want := range map[string]string{
		"lora_rank":          "is no condition",
		"":                   "is no condition",
		"lora_rank!8":        "! alone",
		"=8":                 "has no key",
		"lora_rank=":         "has no value",
		"lora_rank>big":      "wants a number",
		"loss=low":           "wants a number",
		"loss<NaN":           "wants a number",
		"loss~1":             "looks for a text in a number",
		"steps~1":            "looks for a text in a number",
		"status>1":           "compares a text by size",
		"started>2026-01-31": "a filter of its own",
	} {
		if _, err := ParseCondition(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	known, err := synced(t, lab(t)).Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"lora_rank": "", "recall": "", "k05-rise:recall": "", "loss": "", "steps": "", "started": "",
		"lora_rnak": "perhaps lora_rank is meant", "lora-rank": "perhaps lora_rank is meant", "lr": "perhaps learning_rate is meant",
		"recal": "perhaps recall is meant", "perplexity": "no metric of these runs, which are loss, exact_match",
	} {
		err := CheckKeys([]string{key}, known)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
}

// The index finds the runs that the slow obvious way finds: look at each.
func TestFilterAgainstEach(t *testing.T) {
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 30 {
		sample{name: fmt.Sprintf("r%d", i), started: noon.Add(time.Duration(i) * time.Minute), steps: 1 + rnd.IntN(4), loss: float64(rnd.IntN(5)) / 2, match: float64(rnd.IntN(3)) / 2,
			recipe: func(r *train.Recipe) {
				r.Rank, r.Full, r.Schedule = 1<<rnd.IntN(3), rnd.IntN(4) == 0, []string{"cosine", "linear", "constant"}[rnd.IntN(3)]
				if rnd.IntN(3) == 0 {
					r.ChatTemplate = "chatml"
				}
			}}.write(t, dir)
	}
	write(t, filepath.Join(dir, "broken", "run.json"), "{")
	r := synced(t, dir)
	all := listed(t, r, Filter{})
	texts := map[string][]string{
		"lora_rank": {"1", "2", "4.0", "1e0", "x"}, "schedule": {"cosine", "lin", "constant"}, "full": {"true", "false"}, "chat_template": {"chatml", "none"},
		"status": {"finished", "unfinished", "fin"}, "method": {"full", "LoRA r=2", "r="}, "run": {"r1", "r2"},
		"steps": {"1", "2", "4"}, "loss": {"0", "0.5", "1"}, "exact_match": {"0", "0.5", "1"}, "train_loss": {"1.5", "2"},
	}
	keys := make([]string, 0, len(texts))
	for key := range texts {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for range 250 {
		var f Filter
		for range 1 + rnd.IntN(2) {
			key := keys[rnd.IntN(len(keys))]
			c := Condition{key, operators[rnd.IntN(len(operators))], texts[key][rnd.IntN(len(texts[key]))]}
			if c.Op != "==" && c.check() == nil {
				f.Where = append(f.Where, c)
			}
		}
		var want []Run
		for _, run := range all {
			if !slices.ContainsFunc(f.Where, func(c Condition) bool { return !meetsSlowly(run, c) }) {
				want = append(want, run)
			}
		}
		if d := cmp.Diff(names(want), names(listed(t, r, f))); d != "" {
			t.Fatalf("%v: %s", f.Where, d)
		}
	}
}

// meetsSlowly judges a run without stages by what it holds.
func meetsSlowly(r Run, c Condition) bool {
	has := r.Value(c.Key)
	if c.Key == "steps" {
		has = strconv.Itoa(r.Steps) // 0 of a broken one
	}
	_, isColumn := textColumns[c.Key]
	if has == "" && !isColumn {
		return false
	}
	a, err := strconv.ParseFloat(has, 64)
	b, err2 := strconv.ParseFloat(c.Value, 64)
	number := err == nil && err2 == nil && !isColumn
	switch c.Op {
	case "=":
		return number && a == b || !number && has == c.Value
	case "!=":
		return number && a != b || !number && has != c.Value
	case "~":
		return strings.Contains(has, c.Value)
	case "<":
		return number && a < b
	case "<=":
		return number && a <= b
	case ">":
		return number && a > b
	}
	return number && a >= b
}

// Whatever is written as a condition is refused or can be asked for, and reads as it
// is written.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{"lora_rank=8", "exact_match>0.5", "a:b<=1e3", "run~'", "x!=\"); --", "loss<NaN", "=", "!", "arm!=é\x00"} {
		f.Add(text)
	}
	dir, err := os.MkdirTemp("", "registry")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	runs(f, filepath.Join(dir, "runs"))
	r := synced(f, dir)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			return
		}
		if again, err := ParseCondition(c.String()); err != nil || again != c {
			t.Errorf("%q is read as %q, and that as %q: %v", text, c, again, err)
		}
		for _, filter := range []Filter{{Where: []Condition{c}}, {Where: []Condition{c, c}, Study: text, Status: text}} {
			if _, err := r.Runs(t.Context(), filter); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func TestSort(t *testing.T) {
	all := listed(t, synced(t, lab(t)), Filter{})
	for key, want := range map[string][]string{
		"loss":       {"all", "large", "small", "halfway", "broken"},
		"-loss":      {"small", "large", "all", "halfway", "broken"},
		"lora_rank":  {"halfway", "small", "large", "all", "broken"},
		"-lora_rank": {"large", "halfway", "small", "all", "broken"},
		"-started":   {"halfway", "all", "large", "small", "broken"},
		"method":     {"large", "halfway", "small", "all", "broken"},
	} {
		runs := slices.Clone(all)
		Sort(runs, key)
		if d := cmp.Diff(want, names(runs)); d != "" {
			t.Errorf("%s: %s", key, d)
		}
	}
}

// Two studies that give a run one metric of different values are told apart.
func TestMetricOfTwoStudies(t *testing.T) {
	dir := lab(t)
	writeStudy(t, dir, result("k06-drop", "large", "small")) // recall the other way round
	r := synced(t, dir)
	large := listed(t, r, Filter{Where: []Condition{{"run", "~", "large"}}})[0]
	if large.Metrics["recall"] != 0.25 || large.Metrics["k06-drop:recall"] != 0 || math.Abs(large.Metrics["seconds"]-2) > 0 {
		t.Errorf("%v", large.Metrics)
	}
	if d := cmp.Diff([]Membership{{"k05-rise", "arm large", 2}, {"k06-drop", "arm large", 1}}, large.Studies); d != "" {
		t.Error(d)
	}
	if of := listed(t, r, Filter{Study: "k06-drop", Where: []Condition{{"recall", "=", "0"}}}); !slices.Equal(names(of), []string{"large"}) || of[0].Metrics["recall"] != 0 {
		t.Errorf("%v", of)
	}
}
