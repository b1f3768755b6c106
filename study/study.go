package study

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"gotune/internal/yamlnode"
)

// A Study says what is compared, how it is measured, and what decides: the file of a
// study, checked. Its arms and metrics may hold {seed} in any text, in place of which
// each run has its own seed.
type Study struct {
	ID         string
	Claims     []string
	Title      string
	Claim      Text
	Literature string
	Kind       Kind
	Note       string

	Seeds    Seeds
	Prepared []Arm // what arms begin with
	Arms     []Arm
	Tune     []Axis // values that every arm chooses from; the grid of all
	TuneBy   string // the metric it chooses by
	Metrics  []MetricSpec
	Checks   []Test
	Tests    []Test   // none compares all arms with the first
	Quick    []string // arms of a quick run; nil for all, and with none there is no quick run
	Budget   Budget

	left    []Test               // that a quick run leaves out
	Raw     []byte               // the file
	name    string               // for messages
	models  map[string]string    // that stand in place of those that recipes name
	numbers []map[string]float64 // of arms, once they are worked out; see attributes
}

// Seeds are those of the runs: of a quick and of a full study, and of the search for
// values, which no test uses.
type Seeds struct {
	Quick, Full, Tuning []uint64
}

// FirstTuningSeed is the first seed of the search for values where the file gives
// their number alone.
const FirstTuningSeed = 1001

// An Arm is a recipe, as keys on top of those that all arms share.
type Arm struct {
	Name string
	From string // the prepared run it begins with

	// Tuned says whose values the arm has of the keys that are tuned: its own, or those
	// chosen for another arm; "" leaves them as the recipe has them.
	Tuned string
	// Scale multiplies keys after that.
	Scale map[string]float64

	texts      map[string]string  // that stand in braces in its recipe and its metrics
	attributes map[string]float64 // beside those that the recipe tells
	layers     []*ast.MappingNode // keys, later ones over earlier ones
	node       ast.Node
}

// An Axis is a key of a recipe with values to try.
type Axis struct {
	Key    string
	Values []float64
}

// A Budget is what a study may take.
type Budget struct {
	Tokens float64       // of training, all runs together; 0 is no limit
	Time   time.Duration // on the wall clock; 0 is no limit
	node   ast.Node
}

// A Test is a contrast of arms and what is expected of it. The contrast makes one
// number of each seed; exactly one of the fields from Difference to All is set.
type Test struct {
	Name   string
	Claim  string
	Metric string

	Difference []string           // a, b: a − b
	Weights    map[string]float64 // of arms: the weighted sum
	Trend      *Trend             // the slope over an attribute of arms
	Exponent   *Exponent          // of a power law of best values
	Ratio      []string           // a, b: the logarithm of a/b
	Regret     *Regret            // how much worse a value is than the best
	Range      *Range             // how much worse the worst is than the best
	Level      string             // the metric of an arm itself
	All        []Test             // supported if all are, contradicted if one is

	Expect   string // above, below, equal, not-below, not-above, different or contains
	Margin   float64
	Contains float64   // with expect contains: what the interval must hold
	Excludes []float64 // and what it must not

	node ast.Node
}

// A Trend is the slope of a metric over an attribute of arms.
type Trend struct {
	Over  string
	Scale string   // linear, log2 or log
	Arms  []string // nil for all that have the attribute
}

// An Exponent is the slope of log(best value of a key) over log(another key), as the
// exponent b in of ∝ over^b. The best value of each seed is that of the arm with the
// best metric.
type Exponent struct {
	Of, Over string
	Arms     []string
}

// A Regret is how much worse an arm is than the best of several, which was chosen on
// tuning seeds. It is above 0 where the arm is worse.
type Regret struct {
	Arm   string
	Among []string
	Given *Given // what the best has to meet besides
}

// Given is a condition on the arms that the best is chosen from: on tuning seeds the
// mean of a metric is no lower.
type Given struct {
	Metric  string
	AtLeast float64
}

// A Range is how much worse the worst of several arms is than the best, both chosen on
// tuning seeds, so that noise makes none: 0 is expected where the arms are alike. With
// Over it is the slope of the range over that attribute, each of whose values has a
// worst and a best arm of its own.
type Range struct {
	Over  string // "" for the range of all
	Scale string // linear, log2 or log
	Among []string
}

// Load reads the file of a study. Errors name the file, line and column.
func Load(path string) (*Study, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("study: %w", err)
	}
	return Parse(path, raw)
}

// Parse is Load of a text. The name is for messages.
func Parse(name string, raw []byte) (*Study, error) {
	s := &Study{Raw: raw, name: name, Kind: Experiment}
	mapping, err := yamlnode.Mapping(raw, "study")
	if err == nil && mapping == nil {
		err = fmt.Errorf("the file is empty")
	}
	if err == nil {
		err = s.parse(mapping)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, yamlnode.Errorf("study", name, err)
	}
	return s, nil
}

// Models are the names of the models that the arms and prepared runs begin with, each
// once and in order.
func (s *Study) Models() ([]string, error) {
	var all []string
	for _, arms := range [][]Arm{s.Prepared, s.Arms} {
		for i := range arms {
			r, err := s.recipe(&arms[i], nil, 0, nil)
			if err != nil {
				return nil, yamlnode.Errorf("study", s.name, err)
			}
			if arms[i].From == "" && !r.Pretraining() && !slices.Contains(all, r.Model) {
				all = append(all, r.Model)
			}
		}
	}
	return all, nil
}

// arm returns an arm by its name, or nil.
func (s *Study) arm(name string) *Arm {
	for i := range s.Arms {
		if s.Arms[i].Name == name {
			return &s.Arms[i]
		}
	}
	return nil
}

// prepared returns a prepared run by its name, or nil.
func (s *Study) prepared(name string) *Arm {
	for i := range s.Prepared {
		if s.Prepared[i].Name == name {
			return &s.Prepared[i]
		}
	}
	return nil
}

// metric returns a metric by its name, or nil.
func (s *Study) metric(name string) *MetricSpec {
	for i := range s.Metrics {
		if s.Metrics[i].Name == name {
			return &s.Metrics[i]
		}
	}
	return nil
}
