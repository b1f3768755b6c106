package study

import (
	"fmt"
	"slices"
	"strings"

	"gotune/internal/yamlnode"
	"gotune/study/stats"
	"gotune/train"
)

// check looks at everything that can be judged without a look at models and data.
func (s *Study) check() error {
	if s.Kind == NotBuilt {
		return nil
	}
	if len(s.Arms) == 0 {
		return fmt.Errorf("the study has no arms and no vary: there is nothing to run")
	}
	if len(s.Seeds.Full) == 0 && len(s.Seeds.Quick) == 0 {
		s.Seeds.Quick, s.Seeds.Full = Count(1, 3), Count(1, 5)
	}
	if len(s.Seeds.Quick) == 0 {
		s.Seeds.Quick = s.Seeds.Full
	}
	if len(s.Seeds.Full) == 0 {
		s.Seeds.Full = s.Seeds.Quick
	}
	if s.Kind == Experiment && len(s.Tests) > 0 && min(len(s.Seeds.Full), len(s.Seeds.Quick)) < 2 {
		return fmt.Errorf("the tests have one seed: an interval needs two or more; set seeds, such as {quick: 3, full: 6}")
	}
	if len(s.Metrics) == 0 {
		return fmt.Errorf("the study has no metrics: gotune study metrics lists what can be measured")
	}
	for _, name := range s.Quick {
		a := s.arm(name)
		if a == nil {
			return fmt.Errorf("quick has an arm %q that is not there; %s", name, among(name, namesOf(s.Arms)))
		}
		if a.Tuned != "" && !slices.Contains(s.Quick, a.Tuned) {
			return fmt.Errorf("quick has %s but not %s, whose tuned values it takes", name, a.Tuned)
		}
	}
	for _, check := range []func() error{s.checkArms, s.checkTune, s.checkTests} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Study) checkArms() error {
	all := slices.Concat(s.Prepared, s.Arms)
	for i := range all {
		a := &all[i]
		prepared := i < len(s.Prepared)
		if slices.ContainsFunc(all[:i], func(b Arm) bool { return b.Name == a.Name }) {
			return yamlnode.At(a.node, "there are two arms, or prepared runs, called %s", a.Name)
		}
		if a.From != "" {
			b := s.prepared(a.From)
			if b == nil {
				return yamlnode.At(a.node, "%s begins with %q, which is not prepared; %s", a.Name, a.From, among(a.From, namesOf(s.Prepared)))
			}
			if prepared && slices.IndexFunc(s.Prepared, func(b Arm) bool { return b.Name == a.From }) >= i {
				return yamlnode.At(a.node, "%s begins with %s, which has to stand before it", a.Name, a.From)
			}
		}
		if b := s.arm(a.Tuned); !prepared && a.Tuned != "" && (b == nil || b.Tuned != a.Tuned) {
			return yamlnode.At(a.node, "%s takes the tuned values of %q, which is no arm with values of its own", a.Name, a.Tuned)
		}
		metrics := s.Metrics
		if prepared {
			metrics = nil
		}
		r, err := s.recipe(a, nil, s.Seeds.Full[0], metrics)
		if err != nil {
			return err
		}
		if err := s.checkAdapter(a, r); err != nil {
			return err
		}
	}
	return nil
}

// checkAdapter refuses an arm that goes on with an adapter and has other values for it.
func (s *Study) checkAdapter(a *Arm, r train.Recipe) error {
	if a.From == "" {
		return nil
	}
	before, err := s.recipe(s.prepared(a.From), nil, s.Seeds.Full[0], nil)
	if err != nil {
		return err
	}
	b, first := lastStage(before), firstStage(r)
	if b.Full || before.Pretraining() || first.Full || first.PreviousAdapter != "keep" {
		return nil
	}
	if !b.SameShape(first.LoRA) {
		return yamlnode.At(a.node, "%s keeps the adapter of %s but has other lora_* keys, or use_rslora: give it the same ones, or set previous_adapter to merge or fresh", a.Name, a.From)
	}
	return nil
}

func firstStage(r train.Recipe) train.Stage {
	if len(r.Stages) > 0 {
		return r.Stages[0]
	}
	return r.Stage
}

func lastStage(r train.Recipe) train.Stage {
	if n := len(r.Stages); n > 0 {
		return r.Stages[n-1]
	}
	return r.Stage
}

func (s *Study) checkTune() error {
	if len(s.Tune) == 0 {
		return nil
	}
	m := s.metric(s.TuneBy)
	switch {
	case s.TuneBy == "":
		return fmt.Errorf("tune has no metric: the one by which values are chosen")
	case m == nil:
		return fmt.Errorf("tune chooses by the metric %q; %s", s.TuneBy, among(s.TuneBy, metricNames(s.Metrics)))
	case m.Better == "":
		return yamlnode.At(m.node, "tune chooses by %s, so that it has to say better: higher or lower", m.Name)
	case len(s.Seeds.Tuning) == 0:
		return fmt.Errorf("tune needs seeds of its own: seeds: {tuning: 2}")
	}
	return nil
}

func (s *Study) checkTests() error {
	for _, list := range [][]Test{s.Checks, s.Tests} {
		for i := range list {
			if err := s.checkTest(&list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTest checks one test, and fills in what has a default.
func (s *Study) checkTest(t *Test) error {
	wrong := func(format string, args ...any) error { return yamlnode.At(t.node, format, args...) }
	if len(t.All) > 0 {
		for i := range t.All {
			part := &t.All[i]
			if part.Metric == "" {
				part.Metric = t.Metric
			}
			if err := s.checkTest(part); err != nil {
				return err
			}
		}
		if t.Name == "" {
			t.Name = t.All[0].Name
		}
		return nil
	}
	m := s.metric(t.Metric)
	if m == nil {
		return wrong("there is no metric %q; %s", t.Metric, among(t.Metric, metricNames(s.Metrics)))
	}
	if t.Name == "" {
		t.Name = t.Metric
	}
	if err := s.checkContrast(t, m); err != nil {
		return wrong("%w", err)
	}
	if t.Expect == "" {
		return wrong("expect is missing: above, below, equal, not-below, not-above, different or {contains: X, excludes: [Y]}")
	}
	if s.Kind != Experiment {
		return nil
	}
	if err := t.rule().Check(); err != nil {
		return wrong("%w", err)
	}
	return nil
}

func (t Test) rule() stats.Rule {
	return stats.Rule{Expect: stats.Expect(t.Expect), Margin: t.Margin, Contains: t.Contains, Excludes: t.Excludes}
}

// checkContrast checks that there is one contrast, and that its arms are there.
func (s *Study) checkContrast(t *Test, m *MetricSpec) error {
	given := 0
	for _, yes := range []bool{t.Difference != nil, t.Weights != nil, t.Trend != nil, t.Exponent != nil, t.Ratio != nil, t.Regret != nil, t.Range != nil, t.Level != ""} {
		if yes {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("a test has one of difference, contrast, trend, exponent, ratio, regret, range, level and all; here are %d", given)
	}
	for _, pair := range [][]string{t.Difference, t.Ratio} {
		switch {
		case pair == nil:
		case len(pair) != 2:
			return fmt.Errorf("a difference or a ratio is of two arms, here are %d", len(pair))
		case pair[0] == pair[1]:
			return fmt.Errorf("the test compares the arm %s with itself", pair[0])
		}
	}
	used := s.armsOf(*t)
	for _, name := range used {
		if s.arm(name) == nil {
			return fmt.Errorf("there is no arm %q; %s", name, among(name, namesOf(s.Arms)))
		}
	}
	switch {
	case t.Trend != nil && !slices.Contains([]string{"linear", "log2", "log"}, t.Trend.Scale):
		return fmt.Errorf("scale is %q; it is linear, log2 or log", t.Trend.Scale)
	case t.Trend != nil && len(used) < 2:
		return fmt.Errorf("a trend over %q needs two arms that have it as a number, here are %d", t.Trend.Over, len(used))
	case (t.Regret != nil || t.Range != nil) && len(s.Seeds.Tuning) == 0:
		return fmt.Errorf("regret and range are of the best on tuning seeds: seeds: {tuning: 2}")
	case t.Range != nil && !slices.Contains([]string{"linear", "log2", "log"}, t.Range.Scale):
		return fmt.Errorf("scale is %q; it is linear, log2 or log", t.Range.Scale)
	case t.Range != nil && len(used) < 2:
		return fmt.Errorf("a range is of two arms and more, here are %d", len(used))
	case t.Regret != nil && t.Regret.Given != nil && s.metric(t.Regret.Given.Metric) == nil:
		return fmt.Errorf("there is no metric %q; %s", t.Regret.Given.Metric, among(t.Regret.Given.Metric, metricNames(s.Metrics)))
	case (t.Regret != nil || t.Range != nil || t.Exponent != nil) && m.Better == "":
		return fmt.Errorf("the best of %s is asked for, so that the metric has to say better: higher or lower", m.Name)
	case t.Regret != nil && !slices.Contains(t.Regret.Among, t.Regret.Arm) && len(t.Regret.Among) < 1:
		return fmt.Errorf("regret has no among: the arms that the best is chosen from")
	case t.Exponent != nil && len(used) < 4:
		return fmt.Errorf("an exponent of %s over %s needs a grid of arms that have both as numbers, here are %d", t.Exponent.Of, t.Exponent.Over, len(used))
	}
	return nil
}

// armsOf lists the arms that a test uses.
func (s *Study) armsOf(t Test) []string {
	with := func(given []string, keys ...string) []string {
		if given != nil {
			return given
		}
		var all []string
		for i, a := range s.attributes() {
			if !slices.ContainsFunc(keys, func(k string) bool { _, ok := a[k]; return !ok }) {
				all = append(all, s.Arms[i].Name)
			}
		}
		return all
	}
	switch {
	case t.All != nil:
		var all []string
		for _, part := range t.All {
			all = append(all, s.armsOf(part)...)
		}
		return all
	case t.Difference != nil:
		return t.Difference
	case t.Ratio != nil:
		return t.Ratio
	case t.Weights != nil:
		var all []string
		for name := range t.Weights {
			all = append(all, name)
		}
		slices.Sort(all)
		return all
	case t.Trend != nil:
		return with(t.Trend.Arms, t.Trend.Over)
	case t.Exponent != nil:
		return with(t.Exponent.Arms, t.Exponent.Of, t.Exponent.Over)
	case t.Range != nil && t.Range.Over != "":
		return with(t.Range.Among, t.Range.Over)
	case t.Range != nil:
		return with(t.Range.Among)
	case t.Regret != nil:
		return append(slices.Clone(t.Regret.Among), t.Regret.Arm)
	}
	return []string{t.Level}
}

// attributes are the numbers that tell arms apart.
func (s *Study) attributes() []map[string]float64 {
	if s.numbers != nil {
		return s.numbers
	}
	var recipes []train.Recipe
	var arms []*Arm
	for i := range s.Arms {
		r, _ := s.recipe(&s.Arms[i], nil, s.Seeds.Full[0], nil) // checked before
		recipes, arms = append(recipes, r), append(arms, &s.Arms[i])
	}
	_, s.numbers = differs(arms, recipes)
	return s.numbers
}

func namesOf(arms []Arm) []string {
	var names []string
	for _, a := range arms {
		names = append(names, a.Name)
	}
	return names
}

func metricNames(metrics []MetricSpec) []string {
	var names []string
	for _, m := range metrics {
		names = append(names, m.Name)
	}
	return names
}

// among says which name may be meant, or what names there are.
func among(unknown string, names []string) string {
	if meant := train.Meant(unknown, names); meant != "" {
		return "perhaps " + meant + " is meant"
	}
	if len(names) == 0 {
		return "there is none"
	}
	return "there are " + strings.Join(names, ", ")
}
