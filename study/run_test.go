package study

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotune/train"
)

// told keeps the events of a study.
type told struct{ events []Event }

func (o *told) observe(e Event) {
	if e.Event != "progress" {
		o.events = append(o.events, e)
	}
}

// count returns how often an event came.
func (o *told) count(event string) int {
	n := 0
	for _, e := range o.events {
		if e.Event == event {
			n++
		}
	}
	return n
}

// A study runs each arm on each seed, measures, and decides; the second time nothing
// is run or measured again.
func TestRun(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, tinyStudy)
	var first, second told
	r := d.run(t, s, Options{Jobs: 2, Observe: first.observe, Command: "gotune study run"})
	if got := first.count("done"); got != 6 {
		t.Errorf("%d runs were done, want 6", got)
	}
	if len(r.Arms) != 2 || len(r.Arms[0].Runs) != 3 || len(r.Verdicts) != 1 || len(r.Verdicts[0].Values) != 3 {
		t.Fatalf("the result has %d arms and %d verdicts", len(r.Arms), len(r.Verdicts))
	}
	for _, a := range r.Arms {
		if a.Differs["lora_rank"] == "" || a.Attributes["lora_rank"] == 0 || len(a.Differs) != 1 {
			t.Errorf("%s differs by %v, with the attributes %v", a.Name, a.Differs, a.Attributes)
		}
		for _, run := range a.Runs {
			rank := a.Attributes["lora_rank"]
			// q_proj 32→32 and v_proj 32→16 of two layers.
			if want := 2 * rank * (32 + 32 + 32 + 16); run.Metrics["trained"] != want || run.Status != "finished" || run.Steps != 6 {
				t.Errorf("%s seed %d: %g trained in %d steps, %s; want %g in 6", a.Name, run.Seed, run.Metrics["trained"], run.Steps, run.Status, want)
			}
			if run.Exposures[0].Times != 1 || run.Tokens == 0 || run.Metrics["fall"] >= 0 {
				t.Errorf("%s seed %d: exposures %v, %d tokens, loss %+g", a.Name, run.Seed, run.Exposures, run.Tokens, run.Metrics["fall"])
			}
			if !train.IsRun(filepath.Join(d.dir, "lab", run.Run)) {
				t.Errorf("%s is no run folder", run.Run)
			}
		}
	}
	v := r.Verdicts[0]
	if want := r.Arms[1].Runs[2].Metrics["loss"] - r.Arms[0].Runs[2].Metrics["loss"]; v.Values[2] != want {
		t.Errorf("the contrast of seed 3 is %g, want %g", v.Values[2], want)
	}
	if more := d.run(t, s, Options{Seeds: 4, FirstSeed: 2}); !slices.Equal(more.Seeds, []uint64{2, 3, 4, 5}) || more.Arms[0].Runs[0].Run != r.Arms[0].Runs[1].Run {
		t.Errorf("four seeds from 2 on are %v", more.Seeds)
	}
	again := d.run(t, s, Options{Jobs: 1, Observe: second.observe, Command: "gotune study run"})
	if second.count("reused") != 6 || second.count("done")+second.count("run") > 0 {
		t.Errorf("the second time %d runs were there and %d done", second.count("reused"), second.count("done"))
	}
	if !again.Arms[0].Reuses || r.Arms[0].Reuses {
		t.Error("the second result does not say that its runs were there")
	}
	raw, err := os.ReadFile(filepath.Join(d.dir, "lab", "studies", "ranks", "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read Result
	if err := json.Unmarshal(raw, &read); err != nil || read.ID != "ranks" {
		t.Errorf("result.json holds %q: %v", read.ID, err)
	}
}

// bare is a result without what a clock or the machine says.
func bare(t *testing.T, r Result) string {
	t.Helper()
	r.Finished, r.Environment.Jobs = time.Time{}, 0
	for i := range r.Arms {
		r.Arms[i].Runs = slices.Clone(r.Arms[i].Runs)
		for j := range r.Arms[i].Runs {
			r.Arms[i].Runs[j].Seconds = 0
		}
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The result is the same for any number of jobs.
func TestJobsDoNotMatter(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, tinyStudy)
	one := d.run(t, s, Options{Jobs: 1, Quick: true, Output: filepath.Join(d.dir, "one")})
	four := d.run(t, s, Options{Jobs: 4, Quick: true, Output: filepath.Join(d.dir, "four")})
	if a, b := bare(t, one), bare(t, four); a != b {
		t.Errorf("with one job the result is\n%s\nand with four\n%s", a, b)
	}
	if !one.Verdicts[0].Provisional {
		t.Error("the verdict of a quick run is not provisional")
	}
}

// A study that is stopped in the middle of runs goes on there, and ends as if it had
// never been stopped.
func TestGoOn(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, strings.Replace(tinyStudy, "max_steps: 6", "max_steps: 6, save_steps: 2", 1))
	whole := d.run(t, s, Options{Jobs: 2, Output: filepath.Join(d.dir, "whole")})
	lab := filepath.Join(d.dir, "stopped")
	for stops := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		begun := 0
		_, err := Run(ctx, s, Options{Jobs: 2, Output: lab, Observe: func(e Event) {
			if e.Event == "run" {
				if begun++; begun == 2 {
					time.AfterFunc(5*time.Millisecond, cancel)
				}
			}
		}})
		cancel()
		if err != nil && !errors.Is(err, train.ErrInterrupted) {
			t.Fatalf("stop %d: %v", stops, err)
		}
		if _, err := os.Stat(filepath.Join(lab, "studies", "ranks", "result.json")); err == nil && stops == 0 {
			t.Error("a study that was stopped has a result")
		}
	}
	again := d.run(t, s, Options{Jobs: 2, Output: lab})
	for i := range again.Arms {
		again.Arms[i].Reuses = false
	}
	if a, b := bare(t, whole), bare(t, again); a != b {
		t.Errorf("never stopped the result is\n%s\nand after stops\n%s", a, b)
	}
}

// What a killed process leaves of a run that has no recipe yet is no hindrance.
func TestLeftOver(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, tinyStudy)
	p := newPlanner(s, OpenKnown(""))
	n, err := p.add(t.Context(), &s.Arms[0], nil, 1, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(d.dir, "lab", "runs", n.key)
	if err := os.MkdirAll(filepath.Join(left, "checkpoints"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "run.lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := d.run(t, s, Options{Quick: true}); r.Arms[0].Runs[0].Status != "finished" {
		t.Errorf("the run is %s: %s", r.Arms[0].Runs[0].Status, r.Arms[0].Runs[0].Error)
	}
}

// A run that fails is told of, the others are done, and it is run again when asked.
func TestFailure(t *testing.T) {
	d := newDesk(t)
	text := strings.Replace(tinyStudy, "low: {lora_rank: 1}", "low: {lora_rank: 1, learning_rate: 1000, max_grad_norm: 0, optimizer: sgd, lora_alpha: 1e30}", 1)
	s := d.study(t, text)
	r := d.run(t, s, Options{Jobs: 2})
	if got := r.Arms[0].Runs[0]; got.Status != "failed" || got.Error == "" {
		t.Errorf("the run is %s: %q", got.Status, got.Error)
	}
	if got := r.Arms[1].Runs[0]; got.Status != "finished" {
		t.Errorf("the run of the other arm is %s: %q", got.Status, got.Error)
	}
	if v := r.Verdicts[0]; v.Outcome != NotRun || !strings.Contains(v.Reading, "0 of 3 seeds") {
		t.Errorf("the verdict is %s: %s", v.Outcome, v.Reading)
	}
	var second, third told
	d.run(t, s, Options{Jobs: 2, Observe: second.observe})
	d.run(t, s, Options{Jobs: 2, Observe: third.observe, Retry: true})
	if second.count("run") != 0 || second.count("failed") != 3 || third.count("run")+third.count("reused") < 3 {
		t.Errorf("a second time begins %d runs, and with retry %d", second.count("run"), third.count("run"))
	}
	if worse := d.run(t, d.study(t, strings.Replace(text, "data: HELD}", "data: HELD, diverged: 99}", 1)), Options{}); worse.Arms[0].Runs[0].Metrics["loss"] != 99 {
		t.Errorf("a run that diverged has the metrics %v (%s)", worse.Arms[0].Runs[0].Metrics, worse.Arms[0].Runs[0].Error)
	}
}

// A run that cannot go on, since what it began with is another, fails and says how to go
// on; with retry its folder is set aside as it is and the run begun anew, again and again.
func TestSetAside(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, tinyStudy)
	first := d.run(t, s, Options{Quick: true})
	run := filepath.Join(d.dir, "lab", first.Arms[0].Runs[0].Run)
	for n := 1; n <= 2; n++ {
		raw, err := os.ReadFile(filepath.Join(run, "run.json"))
		if err != nil {
			t.Fatal(err)
		}
		var record map[string]any
		if err := json.Unmarshal(raw, &record); err != nil {
			t.Fatal(err)
		}
		record["status"], record["model_sha256"] = "running", "of another version"
		if raw, err = json.Marshal(record); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(run, "run.json"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		metrics, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time as it failed before
			if got := d.run(t, s, Options{Quick: true}).Arms[0].Runs[0]; got.Status != "failed" || !strings.Contains(got.Error, "the model or adapter is not what the run began with") ||
				!strings.HasSuffix(got.Error, "; --retry sets its folder aside and begins it anew") {
				t.Fatalf("the run is %s: %q", got.Status, got.Error)
			}
		}
		var events told
		again := d.run(t, s, Options{Quick: true, Retry: true, Observe: events.observe})
		if events.count("aside") != 1 || events.count("run") != 1 || events.count("done") != 1 {
			t.Errorf("%d runs set aside, %d begun, %d done", events.count("aside"), events.count("run"), events.count("done"))
		}
		if a, b := first.Arms[0].Runs[0].Metrics, again.Arms[0].Runs[0].Metrics; !maps.Equal(a, b) || again.Arms[0].Runs[0].Status != "finished" {
			t.Errorf("begun anew the run is %s and has the metrics %v, want %v", again.Arms[0].Runs[0].Status, b, a)
		}
		aside := fmt.Sprintf("%s.aside-%d", run, n)
		for name, want := range map[string][]byte{"run.json": raw, "metrics.jsonl": metrics} {
			if got, err := os.ReadFile(filepath.Join(aside, name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s of the folder set aside is not what it was (%v)", name, err)
			}
		}
		if why, err := os.ReadFile(filepath.Join(aside, failedName)); err != nil || !bytes.Contains(why, []byte("is not what the run began with")) {
			t.Errorf("the folder set aside says %q (%v)", why, err)
		}
	}
}

// Prepared runs are made once for each seed, before what begins with them, and arms
// of the same content share their runs.
func TestPrepared(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, `
id: routes
seeds: {full: 2}
shared: {model: MODEL, data: [ROWS], max_steps: 3, batch_size: 4, learning_rate: 0.01}
prepare:
  read: {full: true}
  adapt: {from: read, lora_rank: 2}
arms:
  full: {from: read, full: true}
  on: {from: adapt, lora_rank: 2}
  merged: {from: adapt, lora_rank: 4, previous_adapter: merge}
  again: {from: read, full: true}
  warm: {from: read, full: true, previous_optimizer: keep}
metrics:
  loss: {score: loss, data: HELD, minus: start}
  moved: {run: delta_norm}
`)
	o, err := s.Plan(t.Context(), false, false)
	if err != nil {
		t.Fatal(err)
	}
	if o.Unique != 12 {
		t.Errorf("the plan has %d runs, want 2 × (2 prepared and 4)", o.Unique)
	}
	var told told
	r := d.run(t, s, Options{Jobs: 3, Observe: told.observe})
	if told.count("done") != 12 {
		t.Errorf("%d runs were done, want 12", told.count("done"))
	}
	for _, a := range r.Arms {
		for _, run := range a.Runs {
			if run.Status != "finished" || run.Metrics["loss"] >= 0 || run.Metrics["moved"] <= 0 {
				t.Errorf("%s seed %d is %s, the loss is %+g against the start, moved %g: %s", a.Name, run.Seed, run.Status, run.Metrics["loss"], run.Metrics["moved"], run.Error)
			}
		}
	}
	if r.Arms[0].Runs[0].Run != r.Arms[3].Runs[0].Run || r.Arms[0].Runs[0].Run == r.Arms[0].Runs[1].Run {
		t.Error("arms of the same content have runs of their own, or seeds share one")
	}
	if r.Arms[4].Runs[0].Metrics["loss"] == r.Arms[0].Runs[0].Metrics["loss"] {
		t.Error("with the optimizer of the prepared run the result is that of a fresh one")
	}
	adapter, err := os.ReadFile(filepath.Join(d.dir, "lab", r.Arms[1].Runs[0].Run, "recipe.yaml"))
	if err != nil || !bytes.Contains(adapter, []byte("adapter: ")) {
		t.Errorf("the arm that goes on with an adapter has the recipe\n%s", adapter)
	}
}

// The name of a run is that of its content.
func TestKeys(t *testing.T) {
	d := newDesk(t)
	key := func(text string) string {
		t.Helper()
		s := d.study(t, text)
		n, err := newPlanner(s, OpenKnown("")).add(t.Context(), &s.Arms[0], nil, 1, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		return n.key
	}
	was := key(tinyStudy)
	for name, text := range map[string]string{
		"another metric":      strings.Replace(tinyStudy, "{run: trainable}", "{run: steps}", 1),
		"another id":          strings.Replace(tinyStudy, "id: ranks", "id: other", 1),
		"how often to save":   strings.Replace(tinyStudy, "max_steps: 6", "max_steps: 6, save_steps: 3", 1),
		"a default written":   strings.Replace(tinyStudy, "max_steps: 6", "max_steps: 6, lora_alpha: 16", 1),
		"how memory is saved": strings.Replace(tinyStudy, "max_steps: 6", "max_steps: 6, gradient_checkpointing: blocks", 1),
	} {
		if key(text) != was {
			t.Errorf("%s gives the run another name", name)
		}
	}
	for name, text := range map[string]string{
		"another rate":     strings.Replace(tinyStudy, "0.01, lora", "0.02, lora", 1),
		"more evaluations": strings.Replace(tinyStudy, "max_steps: 6", "max_steps: 6, eval_data: [HELD]", 1),
	} {
		if key(text) == was {
			t.Errorf("%s gives the run no other name", name)
		}
	}
	staged := func(stages string) string {
		return strings.Replace(tinyStudy, "low: {lora_rank: 1}", "low: {lora_rank: 1, stages: ["+stages+"]}", 1)
	}
	a, b := "{name: a, max_steps: 2}", "{name: b, max_steps: 3}"
	if key(staged(a+", "+b)) == key(staged(b+", "+a)) {
		t.Error("stages in another order give the run no other name")
	}
	d.write(t, "rows.jsonl", `{"prompt":"a","completion":"b"}`)
	if key(tinyStudy) == was {
		t.Error("other rows give the run no other name")
	}
}

// Values are chosen on tuning seeds, each arm its own; a search gives up the worse half
// early and says so.
func TestTune(t *testing.T) {
	d := newDesk(t)
	text := strings.Replace(tinyStudy, "metrics:", "tune: {learning_rate: [1e-6, 1e-5, 0.02, 1e-7], metric: loss}\nmetrics:", 1)
	text = strings.Replace(text, "arms:", "arms:\n  tenth: {lora_rank: 4, tune: high, scale: {learning_rate: 0.1}}\n  fixed: {lora_rank: 2, tune: false}", 1)
	text = strings.Replace(text, "{quick: 2, full: 3, tuning: 2}", "{full: 2, tuning: 1}", 1)
	s := d.study(t, text)
	for name, o := range map[string]Options{"all": {}, "search": {Search: true}} {
		o.Output = filepath.Join(d.dir, name)
		r := d.run(t, s, o)
		rates := make(map[string]string)
		for _, a := range r.Arms {
			raw, err := os.ReadFile(filepath.Join(o.Output, a.Runs[0].Run, "recipe.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			recipe := train.DefaultRecipe()
			if err := recipe.Parse("recipe", raw); err != nil {
				t.Fatal(err)
			}
			rates[a.Name] = strconv.FormatFloat(recipe.LearningRate, 'g', -1, 64)
		}
		if rates["low"] != "0.02" || rates["high"] != "0.02" || rates["tenth"] != "0.002" || rates["fixed"] != "0.01" {
			t.Errorf("%s: the learning rates are %v", name, rates)
		}
		if low := r.Arms[2]; low.Tuned["learning_rate"] != 0.02 || len(low.Search) != 4 {
			t.Errorf("%s: %s has chosen %v of %d values", name, low.Name, low.Tuned, len(low.Search))
		}
		if want := map[string]int{"all": 0, "search": 6}[name]; len(r.Dropped) != want {
			t.Errorf("%s: dropped %v", name, r.Dropped)
		}
	}
}

// A test that takes the best arm of the tuning seeds has its metric measured there, also
// where the search for values has measured another one of the same runs.
func TestRegretAfterTuning(t *testing.T) {
	d := newDesk(t)
	text := strings.Replace(tinyStudy, "metrics:", "tune: {learning_rate: [1e-6, 0.02], metric: probability}\nmetrics:\n  probability: {score: log_probability, data: HELD}", 1)
	text = strings.Replace(text, "{quick: 2, full: 3, tuning: 2}", "{full: 2, tuning: 1}", 1)
	text = text[:strings.Index(text, "tests:")] + "tests:\n  - {metric: loss, regret: {arm: low, among: [low, high]}, expect: not-above, margin: 0.05}\n"
	var told told
	r := d.run(t, d.study(t, text), Options{Observe: told.observe})
	if v := r.Verdicts[0]; len(v.Values) != 2 || v.Outcome == NotRun {
		t.Errorf("%d values: %s", len(v.Values), v.Reading)
	}
	last := told.events[len(told.events)-1]
	if told.count("done") != 8 || last.Done != last.Total || last.Total != 8 {
		t.Errorf("%d runs were done, at the end %d of %d; want 2 arms × (2 seeds and 2 values)", told.count("done"), last.Done, last.Total)
	}
}

// A search of arms leaves two, which are compared on seeds of their own.
func TestSearch(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, `
id: grid
seeds: {full: 2}
shared: {model: MODEL, data: [ROWS], max_steps: 8, batch_size: 4, lora_rank: 2}
vary: {learning_rate: [1e-7, 1e-6, 0.01, 0.02]}
metrics: {loss: {score: loss, data: HELD}}
`)
	if _, err := Run(t.Context(), s, Options{Output: filepath.Join(d.dir, "clash"), Search: true, FirstSeed: 1000}); err == nil || !strings.Contains(err.Error(), "the seed 1001 is used for tuning and for testing") {
		t.Errorf("tests on seeds of the search: %v", err)
	}
	r := d.run(t, s, Options{Jobs: 2, Search: true})
	if len(r.Arms) != 2 || len(r.Dropped) != 2 || r.Dropped[0].Rung != 1 && r.Dropped[0].Rung != 2 {
		t.Fatalf("left are %d arms, dropped %v", len(r.Arms), r.Dropped)
	}
	names := []string{r.Arms[0].Name, r.Arms[1].Name}
	slices.Sort(names)
	if names[0] != "learning_rate=0.01" || names[1] != "learning_rate=0.02" || len(r.Verdicts) != 1 || r.Verdicts[0].Seeds != 2 {
		t.Errorf("left are %v with the verdicts %+v", names, r.Verdicts)
	}
}

// A budget begins no run that does not fit, and what is not run is said.
func TestBudget(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, tinyStudy)
	var told told
	r := d.run(t, s, Options{Jobs: 1, Budget: time.Nanosecond, Observe: told.observe})
	if told.count("skipped") != 6 || told.count("run") != 0 {
		t.Errorf("%d runs were left out and %d begun, want 6 and none", told.count("skipped"), told.count("run"))
	}
	if got := r.Arms[0].Runs[0]; got.Status != "missing" || !strings.Contains(got.Error, "budget") || r.Verdicts[0].Outcome != NotRun {
		t.Errorf("the run is %s: %s, the verdict %s", got.Status, got.Error, r.Verdicts[0].Outcome)
	}
	s = d.study(t, tinyStudy+"budget: {tokens: 2500}") // a run takes 672
	if r = d.run(t, s, Options{Jobs: 2, Output: filepath.Join(d.dir, "tokens")}); r.Verdicts[0].Seeds != 1 || r.Arms[0].Runs[1].Status != "finished" || r.Arms[1].Runs[1].Status != "missing" {
		t.Errorf("with tokens for three runs the verdict is of %d seeds: %s", r.Verdicts[0].Seeds, r.Verdicts[0].Reading)
	}
	for budget, want := range map[string]string{"tokens: 10": "[14:9] the budget is 10 tokens", "time: 1ns": "not one fits"} {
		_, err := d.study(t, tinyStudy+"budget: {"+budget+"}").Plan(t.Context(), false, true)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a budget of %s gives %v, want %q", budget, err, want)
		}
	}
}

// Memory for all runs lets in as many as fit; what fits alone nowhere fails.
func TestMemory(t *testing.T) {
	d := newDesk(t)
	s := d.study(t, tinyStudy)
	o, err := s.Plan(t.Context(), true, false)
	if err != nil {
		t.Fatal(err)
	}
	if r := d.run(t, s, Options{Jobs: 3, Quick: true, MaxMemory: o.Bytes}); r.Arms[0].Runs[1].Status != "finished" {
		t.Errorf("a run that fits is %s: %s", r.Arms[0].Runs[1].Status, r.Arms[0].Runs[1].Error)
	}
	r := d.run(t, s, Options{Quick: true, MaxMemory: 1, Output: filepath.Join(d.dir, "small")})
	if got := r.Arms[0].Runs[0]; got.Status != "failed" || !strings.Contains(got.Error, "the memory for all runs") {
		t.Errorf("a run that does not fit is %s: %s", got.Status, got.Error)
	}
}

// What the models and data say against a study is told with its line.
func TestPlanErrors(t *testing.T) {
	d := newDesk(t)
	for text, want := range map[string]string{
		strings.Replace(tinyStudy, "lora_rank: 4", "lora_rank: 17", 1):      "[7:3] high: lora rank 17 is above the smaller side",
		strings.Replace(tinyStudy, "data: [ROWS]", "data: [none.jsonl]", 1): "none.jsonl: no such file",
		strings.Replace(tinyStudy, "model: MODEL", "model: nowhere", 1):     "there is no folder nowhere",
		strings.Replace(tinyStudy, "data: [ROWS]", `data: ["world:ct"]`, 1): "no corpus \"ct\"",
	} {
		_, err := d.study(t, text).Plan(t.Context(), false, false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// Exposures are told by row and, where a corpus has facts, by fact.
func TestExposures(t *testing.T) {
	h := &hasher{}
	for path, want := range map[string]float64{"world:cpt?draw=3": 12, "world:store": 1, "rows.jsonl": 0, "world:none": 0} {
		if got := h.perFact(path); got != want {
			t.Errorf("a pass of %s tells each fact %g times, want %g", path, got, want)
		}
	}
}

// Two laboratories at work on one folder share the runs between them.
func TestTwoAtOnce(t *testing.T) {
	d := newDesk(t)
	text := strings.Replace(tinyStudy, "max_steps: 6", "max_steps: 12", 1)
	results := make(chan string, 2)
	var both [2]told
	for i := range 2 {
		s := d.study(t, text)
		go func() {
			r, err := Run(t.Context(), s, Options{Jobs: 2, Output: filepath.Join(d.dir, "lab"), Observe: both[i].observe})
			if err != nil {
				results <- err.Error()
				return
			}
			for i := range r.Arms {
				r.Arms[i].Reuses = false
			}
			results <- bare(t, r)
		}()
	}
	if a, b := <-results, <-results; a != b || !strings.Contains(a, `"finished"`) || strings.Contains(a, `"failed"`) {
		t.Errorf("one says\n%s\nand the other\n%s", a, b)
	}
	if n := both[0].count("done") + both[1].count("done"); n != 6 {
		t.Errorf("%d runs were done by both together, want 6", n)
	}
}
