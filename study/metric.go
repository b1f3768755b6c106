package study

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"gotune/internal/yamlnode"
	"gotune/train"
)

// A Measure is a number that runs can be compared by. Each is defined in one place,
// in the list of its family.
type Measure struct {
	Family     string // score, curve, run, plan or product
	Name       string
	Definition string // in one line
	Unit       string
	Better     string // higher, lower or ""
	Needs      string // keys that have no default

	rows    func([]rowScore, MetricSpec) (float64, error)      // of scores by teacher forcing
	answers func([]train.Answer, MetricSpec) (float64, error)  // of scores by generation
	curve   func(curve, MetricSpec) (x float64, censored bool) // of evaluations on the way
	run     func(facts) float64                                // of the record of a run
	plan    func(train.Plan, MetricSpec) float64               // of what it will take
}

// Measures lists everything that can be measured.
func Measures() []Measure { return slices.Concat(scores, curves, ofRuns, ofPlans, products) }

// products are measures of other metrics of the same run.
var products = []Measure{
	{Family: productFamily, Name: "product", Better: "higher",
		Definition: "product of other metrics of the run, those below 0 as 0: of shares the volume that the run dominates above 0"},
}

// productFamily is the key of a metric that is made of others.
const productFamily = "product"

// A MetricSpec says what a metric of a study measures, and on what.
type MetricSpec struct {
	Name    string
	Measure Measure

	Data      []string // that is scored; of a curve the part of eval_data, which it is added to
	Minus     string   // data whose score is taken off, or start for that of the model before the run
	Of        string   // what a curve is of: loss, exact_match, log_probability, retain_loss or train_loss
	Columns   string
	Format    string
	Wording   string // seen or unseen scores the rows of that wording alone
	IgnoreEOS bool
	AllTokens bool
	Questions int     // of scores by generation
	Prior     float64 // bits that each row has where nothing is known
	Pattern   string  // of a valid answer; "" derives the form from the wanted one
	Window    float64
	Stage     string // of a curve: of that stage alone, "" for the run
	Threshold float64
	Better    string
	Product   []string // the metrics that it is made of
	Diverged  *float64 // the value of a run whose loss became no number
	Shape     string   // of a plan: for a model of this shape in place of the arm's
	Workers   int      // of a plan: so many share the work, each with rows of its own
	Zero      int      // of a plan: the stage of ZeRO by which they share what a worker keeps

	node ast.Node
}

// keys are those of a metric besides its family.
func (m *MetricSpec) keys() map[string]reader {
	return map[string]reader{
		"data": func(n ast.Node) error {
			if _, ok := n.(*ast.SequenceNode); ok {
				return names(&m.Data)(n)
			}
			m.Data = []string{""}
			return text(&m.Data[0])(n)
		},
		"minus": text(&m.Minus), productFamily: names(&m.Product), "of": text(&m.Of), "columns": text(&m.Columns), "format": text(&m.Format), "wording": text(&m.Wording),
		"ignore_eos": yes(&m.IgnoreEOS), "all_tokens": yes(&m.AllTokens), "pattern": text(&m.Pattern), "better": text(&m.Better), "stage": text(&m.Stage), "shape": text(&m.Shape),
		"prior": number(&m.Prior), "window": number(&m.Window), "threshold": number(&m.Threshold),
		"questions": whole(&m.Questions, 1, "a number of questions"),
		"workers":   whole(&m.Workers, 1, "a number of workers"),
		"zero":      whole(&m.Zero, 0, "a stage of ZeRO, 0 without"),
		"diverged": func(n ast.Node) error {
			m.Diverged = new(float64)
			return number(m.Diverged)(n)
		},
	}
}

func (s *Study) parseMetrics(n ast.Node) error {
	return entries(n, "metrics", func(k *ast.MappingValueNode, name string) error {
		m := MetricSpec{Name: name, Of: "loss", Window: 1, Questions: 100, node: k.Key}
		family, measure := "", ""
		known := m.keys()
		for _, f := range []string{"score", "curve", "run", "plan"} {
			known[f] = func(n ast.Node) error {
				if family != "" {
					return yamlnode.At(n, "%s is measured by %s and by %s: a metric is one of them", name, family, f)
				}
				family = f
				return text(&measure)(n)
			}
		}
		if err := keys(k.Value, "a metric", known); err != nil {
			return err
		}
		if len(m.Product) > 0 && family == "" {
			family, measure = productFamily, "product"
		}
		err := m.choose(family, measure)
		if err == nil {
			err = m.check()
		}
		for _, name := range m.Product {
			if other := s.metric(name); err == nil && (other == nil || other.Product != nil || other.Measure.Family == "plan") {
				err = fmt.Errorf("it is a product of %q, which is no metric that stands before it and is measured itself", name)
			}
		}
		if err != nil {
			return yamlnode.At(k.Value, "metric %s: %w", name, err)
		}
		s.Metrics = append(s.Metrics, m)
		return nil
	})
}

// choose finds the measure.
func (m *MetricSpec) choose(family, name string) error {
	var all []string
	for _, one := range Measures() {
		if one.Family == family {
			all = append(all, one.Name)
		}
		if one.Family == family && one.Name == name {
			m.Measure = one
			if m.Better == "" {
				m.Better = one.Better
			}
			return nil
		}
	}
	if family == "" {
		return fmt.Errorf("it has none of score, curve, run, plan and product, which say how it is measured")
	}
	if meant := train.Meant(name, all); meant != "" {
		return fmt.Errorf("there is no %s %q; perhaps %s is meant", family, name, meant)
	}
	return fmt.Errorf("there is no %s %q; there are %s", family, name, strings.Join(all, ", "))
}

// check looks at what the measure needs.
func (m *MetricSpec) check() error {
	switch {
	case m.Measure.Family == "score" && len(m.Data) == 0:
		return fmt.Errorf("a score needs data")
	case slices.Contains([]string{"plan", productFamily}, m.Measure.Family) && len(m.Data) > 0:
		return fmt.Errorf("a %s has no data", m.Measure.Family)
	case m.Measure.Family != "plan" && (m.Shape != "" || m.Workers > 1 || m.Zero > 0):
		return fmt.Errorf("shape, workers and zero are of plans alone")
	case m.Zero > 3, m.Zero > 0 && m.Workers < 2:
		return fmt.Errorf("zero is a stage from 1 to 3 by which workers share, at least two: zero: 2, workers: 4")
	case m.Measure.Family == "run" && len(m.Data) > 0:
		return fmt.Errorf("%s is of the run itself and has no data", m.Measure.Name)
	case len(m.Product) > 0 && m.Measure.Family != productFamily:
		return fmt.Errorf("it is measured by %s and made of others: a metric is one of them", m.Measure.Family)
	case m.Measure.Name == "bits" && m.Prior <= 0:
		return fmt.Errorf("bits needs prior: the bits of a row that nothing is known of")
	case strings.HasSuffix(m.Measure.Name, "_to") && m.Threshold == 0:
		return fmt.Errorf("%s needs threshold: the value to reach", m.Measure.Name)
	case m.Stage != "" && m.Measure.Family != "curve":
		return fmt.Errorf("stage is of curves alone; %s is of the whole run", m.Measure.Name)
	case m.Window <= 0 || m.Window > 1:
		return fmt.Errorf("window is %g; it is a share of the run above 0 and up to 1", m.Window)
	case !slices.Contains([]string{"", "seen", "unseen"}, m.Wording):
		return fmt.Errorf("wording is %q; it is seen or unseen", m.Wording)
	case !slices.Contains([]string{"", "higher", "lower"}, m.Better):
		return fmt.Errorf("better is %q; it is higher or lower", m.Better)
	}
	if m.Measure.Family == "curve" {
		of := []string{"loss", "exact_match", "log_probability", "retain_loss", "train_loss"}
		if !slices.Contains(of, m.Of) {
			return fmt.Errorf("a curve of %q; it can be of %s", m.Of, strings.Join(of, ", "))
		}
		if len(m.Data) > 1 {
			return fmt.Errorf("a curve is of one corpus of eval_data")
		}
		if m.rising() && m.Better == "lower" && m.Measure.Better == "lower" && (m.Measure.Name == "final" || m.Measure.Name == "area") {
			m.Better = "higher"
		}
	}
	if _, err := regexp.Compile(m.Pattern); err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	return nil
}

// rising reports whether a curve is better the higher it is.
func (m MetricSpec) rising() bool { return m.Of == "exact_match" || m.Of == "log_probability" }

// at returns the metric of an arm's run with a seed.
func (m MetricSpec) at(a *Arm, seed uint64) MetricSpec {
	put := a.filler(seed).Replace
	m.Data = slices.Clone(m.Data)
	for i := range m.Data {
		m.Data[i] = put(m.Data[i])
	}
	m.Minus = put(m.Minus)
	return m
}

// prepare makes a run evaluate what a curve is of.
func (m MetricSpec) prepare(r *train.Recipe) error {
	if m.Measure.Family != "curve" || m.Of == "train_loss" {
		return nil
	}
	if !r.Eval {
		return fmt.Errorf("eval is false, but the metric %s is of evaluations on the way", m.Name)
	}
	if m.Of == "retain_loss" {
		if len(r.RetainData) == 0 {
			return fmt.Errorf("the metric %s is of retain_loss, and there is no retain_data", m.Name)
		}
		return nil
	}
	for _, path := range m.Data {
		if !slices.ContainsFunc(r.EvalData, func(d train.Dataset) bool { return d.Path == path }) {
			r.EvalData = append(slices.Clone(r.EvalData), train.Dataset{Path: path, Columns: m.Columns, Format: m.Format})
		}
	}
	if len(r.EvalData) == 0 {
		return fmt.Errorf("the metric %s is a curve of eval_data, and neither has data", m.Name)
	}
	return nil
}

// Spec says in one line how the metric is measured.
func (m MetricSpec) Spec() string {
	var b strings.Builder
	b.WriteString(m.Measure.Name)
	if m.Measure.Family == "curve" {
		fmt.Fprintf(&b, " of %s", m.Of)
	}
	if len(m.Data) > 0 {
		fmt.Fprintf(&b, " on %s", strings.Join(m.Data, " + "))
	}
	if len(m.Product) > 0 {
		fmt.Fprintf(&b, " of %s", strings.Join(m.Product, ", "))
	}
	if m.Minus != "" {
		fmt.Fprintf(&b, " minus that of %s", m.Minus)
	}
	add := func(given bool, format string, value any) {
		if given {
			fmt.Fprintf(&b, ", "+format, value)
		}
	}
	add(m.Wording != "", "%s wording", m.Wording)
	add(m.IgnoreEOS, "%s", "without the end token")
	add(m.AllTokens, "%s", "prompts too")
	add(m.Columns != "", "columns %s", m.Columns)
	add(m.Format != "", "format %s", m.Format)
	add(m.Measure.answers != nil, "%d questions", m.Questions)
	add(m.Prior != 0, "%g bits a row", m.Prior)
	add(m.Pattern != "", "valid by %q", m.Pattern)
	add(m.Stage != "", "in the stage %s", m.Stage)
	add(m.Window != 1, "window %g", m.Window)
	add(m.Threshold != 0, "threshold %g", m.Threshold)
	add(m.Shape != "", "of a model of the shape %s", m.Shape)
	add(m.Workers > 1, "on each of %d workers", m.Workers)
	add(m.Zero > 0, "by stage %d of ZeRO", m.Zero)
	return b.String()
}

// described is what a result says of the metric.
func (m MetricSpec) described() Metric {
	return Metric{Name: m.Name, Spec: m.Spec(), Unit: m.Measure.Unit, Better: m.Better}
}

// with returns a metric with those that it is made of, before it.
func (s *Study) with(m MetricSpec) []MetricSpec {
	var all []MetricSpec
	for _, name := range m.Product {
		all = append(all, *s.metric(name))
	}
	return append(all, m)
}
