package report

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"gotune/study"
)

// A section is the part of the page about a study.
type section struct {
	finished
	Anchor   string
	Tests    []line
	Checks   []line
	Keys     []string // columns of what differs
	Arms     []armLine
	Best     []rankLine
	BestBy   string
	BestText string
	Pictures []*picture
	Answers  []answer
	Failures []failure
	Troubles []string // with files of runs
}

func (s section) name() string { return cmp.Or(strings.Join(s.Claims, ", "), s.ID) }

// File is the study's file.
func (s section) File() string { return s.file }

// Ablation reports whether no claim is put to the test: what is wanted is the best arm.
func (s section) Ablation() bool { return s.Claim.English == "" && len(s.Claims) == 0 }

// Chose reports whether values were chosen for an arm.
func (s section) Chose() bool {
	return slices.ContainsFunc(s.Arms, func(a armLine) bool { return len(a.Chosen) > 0 })
}

// Exposed reports whether it is known how often rows were seen.
func (s section) Exposed() bool {
	return slices.ContainsFunc(s.Arms, func(a armLine) bool { return len(a.Exposures) > 0 })
}

// Done is when the study was finished.
func (s section) Done() string {
	if s.Finished.IsZero() {
		return ""
	}
	return s.Finished.UTC().Format("2006-01-02 15:04 UTC")
}

// An armLine is a row of the table of arms.
type armLine struct {
	study.ArmResult
	Differ    []string // by the section's keys
	Chosen    []string
	Values    []string // by the study's metrics: mean and interval
	Finished  int
	Steps     string
	Tokens    string
	Seconds   string
	Exposures []string
}

// A rankLine is a row of the table that says which arm is best.
type rankLine struct{ Arm, Value, Interval, Regret, RegretInterval string }

// A failure is a run that has no result.
type failure struct {
	Arm string
	study.RunResult
}

// most of what differs that has columns of its own; more is written in one.
const mostKeys = 4

func (r *Report) section(s finished, files map[string]bool) section {
	v := section{finished: s, Anchor: unique(fileName(s.ID), files)}
	v.Tests = v.lines(s.Verdicts)
	v.Checks = v.lines(s.Checks)
	v.Keys = keys(s.Arms)
	for _, a := range s.Arms {
		v.Arms = append(v.Arms, newArmLine(a, v.Keys, s.Metrics))
		for _, run := range a.Runs {
			if run.Status != "finished" {
				v.Failures = append(v.Failures, failure{a.Name, run})
			}
		}
	}
	if len(v.Keys) > mostKeys {
		v.Keys = []string{"what differs"}
	}
	if v.Ablation() && len(s.Metrics) > 0 {
		v.rank(s.Metrics[0])
	}
	v.draw(r.readRuns(&v), files)
	return v
}

// lines flattens verdicts and the parts of conjunctions.
func (s section) lines(verdicts []study.Verdict) []line {
	var all []line
	add := func(v study.Verdict, part bool) {
		v.Reading = strings.TrimPrefix(v.Reading, v.Outcome+": ") // which stands before it
		l := line{Verdict: v, ID: cmp.Or(v.Claim, s.name()), Anchor: s.Anchor, Title: s.Title, Part: part, Several: len(verdicts) > 1}
		l.Outcome = short(cmp.Or(l.Outcome, study.NotRun), 20)
		l.Value, l.Interval = estimate(v.Effect, v.Low, v.High)
		all = append(all, l)
	}
	for _, v := range verdicts {
		add(v, false)
		for _, p := range v.Parts {
			add(p, true)
		}
	}
	return all
}

// keys are those that arms differ in.
func keys(arms []study.ArmResult) []string {
	all := map[string]bool{}
	for _, a := range arms {
		for k := range a.Differs {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func newArmLine(a study.ArmResult, keys []string, metrics []study.Metric) armLine {
	l := armLine{ArmResult: a}
	for _, k := range keys {
		if value := a.Differs[k]; len(keys) <= mostKeys {
			l.Differ = append(l.Differ, value)
		} else if value != "" {
			l.Differ = append(l.Differ, k+" = "+value)
		}
	}
	if len(keys) > mostKeys {
		l.Differ = []string{strings.Join(l.Differ, "\n")}
	}
	for _, k := range slices.Sorted(maps.Keys(a.Tuned)) {
		l.Chosen = append(l.Chosen, k+" = "+number(a.Tuned[k]))
	}
	for _, m := range metrics {
		l.Values = append(l.Values, meanOf(a, m.Name))
	}
	var steps, tokens, seconds sample
	for _, r := range a.Runs {
		if r.Status != "finished" {
			continue
		}
		l.Finished++
		steps, tokens, seconds = append(steps, float64(r.Steps)), append(tokens, float64(r.Tokens)), append(seconds, r.Seconds)
		if l.Exposures == nil {
			for _, e := range r.Exposures {
				text := unseeded(e.Corpus, r.Seed) + " × " + number(e.Times)
				if e.PerFact > 0 {
					text += ", " + number(e.PerFact) + " a fact"
				}
				l.Exposures = append(l.Exposures, text)
			}
		}
	}
	if l.Finished > 0 {
		l.Steps, l.Tokens, l.Seconds = amount(steps.spread().mid), amount(tokens.spread().mid), duration(seconds.spread().mid)
	}
	return l
}

// meanOf is a metric of an arm: its mean and interval, and how many runs did not meet a
// threshold.
func meanOf(a study.ArmResult, metric string) string {
	s := sampleOf(a, metric)
	if len(s) == 0 {
		return "–"
	}
	d := s.spread()
	value, interval := estimate(d.mid, d.low, d.high)
	if d.n > 1 {
		value += "\n" + interval
	}
	censored := 0
	for _, r := range a.Runs {
		if slices.Contains(r.Censored, metric) {
			censored++
		}
	}
	if censored > 0 {
		value += fmt.Sprintf("\n%d of %d not met", censored, len(s))
	}
	return value
}

// rank says which arm of an ablation without a test is best, and by how much.
func (s *section) rank(m study.Metric) {
	all := ranking(s.Result.Arms, m)
	if len(all) < 2 {
		return
	}
	s.BestBy = m.Name
	for i, x := range all {
		l := rankLine{Arm: x.arm.Name}
		l.Value, l.Interval = estimate(x.value.mid, x.value.low, x.value.high)
		if i > 0 && x.regret.n > 0 {
			l.Regret, l.RegretInterval = estimate(x.regret.mid, x.regret.low, x.regret.high)
		}
		s.Best = append(s.Best, l)
	}
	first, lead := all[0], all[0].regret
	value, interval := estimate(-lead.mid, -lead.high, -lead.low)
	switch {
	case lead.n < 2:
		s.BestText = fmt.Sprintf("%s has the best %s, but one seed cannot say how sure that is.", first.arm.Name, m.Name)
	case lead.high < 0:
		s.BestText = fmt.Sprintf("%s has the best %s; the next, %s, is behind by %s, 95 %% interval %s.", first.arm.Name, m.Name, all[1].arm.Name, value, interval)
	default:
		s.BestText = fmt.Sprintf("%s has the best mean of %s, but the next, %s, cannot be told from it: behind by %s, 95 %% interval %s.", first.arm.Name, m.Name, all[1].arm.Name, value, interval)
	}
}

// Bounds of what is shown of a study's answers, troubles and losses.
const (
	maxAnswers  = 24
	maxTroubles = 10
	maxLosses   = 6
)

// readRuns reads the run folders of a study: losses by what they are of, of each arm, and
// answers of the first run of each that has some.
func (r *Report) readRuns(s *section) map[string][]armCurves {
	losses := map[string][]armCurves{}
	for _, a := range s.Result.Arms {
		arm := map[string]*armCurves{}
		answered := false
		for _, run := range a.Runs {
			record, err := r.readRun(run)
			if err != nil && len(s.Troubles) < maxTroubles {
				s.Troubles = append(s.Troubles, strings.ReplaceAll(err.Error(), filepath.Clean(r.lab)+string(filepath.Separator), ""))
			}
			for of, c := range record.losses {
				if arm[of] == nil {
					arm[of] = &armCurves{name: a.Name}
				}
				arm[of].add(*c)
			}
			if answered {
				continue
			}
			for _, w := range record.answers {
				if answered = true; len(s.Answers) < maxAnswers {
					w.Arm, w.Seed = a.Name, run.Seed
					s.Answers = append(s.Answers, w)
				}
			}
		}
		for of, c := range arm {
			losses[of] = append(losses[of], *c)
		}
	}
	return losses
}

// draw makes the pictures of a study.
func (s *section) draw(losses map[string][]armCurves, files map[string]bool) {
	add := func(p *picture) {
		if p != nil {
			p.Name = unique(p.Name, files)
			s.Pictures = append(s.Pictures, p)
		}
	}
	arms, metrics := s.Result.Arms, s.drawnMetrics()
	var tests []named
	for _, l := range s.Tests {
		tests = append(tests, named{l.Name, l.Verdict})
	}
	add(forest(s.Anchor+"-forest", "The effects of this study", tests))
	for _, m := range metrics {
		name := s.Anchor + "-" + fileName(m.Name)
		heats, settings := grids(arms, m.Name)
		for i, g := range heats {
			add(heatMap(name+"-map", settings[i], g, m))
		}
		if len(heats) == 0 {
			add(trend(name+"-trend", arms, m))
		}
		add(armsPicture(name+"-arms", arms, m))
	}
	for i, a := range metrics {
		for _, b := range metrics[i+1:] {
			if a.Better != "" && b.Better != "" {
				add(pareto(s.Anchor+"-"+fileName(a.Name)+"-"+fileName(b.Name), arms, a, b))
			}
		}
	}
	for i, of := range slices.Backward(slices.Sorted(maps.Keys(losses))) { // training first
		if len(losses)-i <= maxLosses {
			add(curvesPicture(s.Anchor+"-"+fileName(of), of, "loss (nats a token)", losses[of]))
		}
	}
	for _, p := range searchPictures(s.Anchor+"-search", arms) {
		add(p)
	}
}

// drawnMetrics are the first few, the one of the primary test before the others.
func (s *section) drawnMetrics() []study.Metric {
	const most = 3
	metrics := slices.Clone(s.Metrics)
	if len(s.Verdicts) > 0 {
		primary := s.Verdicts[0].Metric
		slices.SortStableFunc(metrics, func(a, b study.Metric) int {
			return cmp.Compare(rankOf(a.Name == primary), rankOf(b.Name == primary))
		})
	}
	return metrics[:min(len(metrics), most)]
}

func rankOf(first bool) int {
	if first {
		return 0
	}
	return 1
}
