package registry

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gotune/train"
)

// A Filter says which runs are wanted. The zero Filter wants all.
type Filter struct {
	Where  []Condition // all of them hold
	Study  string      // runs of arms of the study with this ID, with its metrics alone
	Status string      // finished, running, unfinished, failed or broken
	Since  time.Time   // begun then or later
}

// Statuses are the values of Run.Status.
var Statuses = []string{statusFinished, "running", "unfinished", statusFailed, statusBroken}

// A Condition compares a key of a run with a value. The key is one of a recipe, a
// metric, or a column of the list. Of a recipe with stages it is enough that one stage
// meets the condition; but != wants that none has the value. A run without the key
// meets no condition.
type Condition struct {
	Key   string
	Op    string // =, !=, <, <=, >, >= or ~ (contains)
	Value string
}

// operators, the longer ones first.
var operators = []string{"!=", ">=", "<=", "==", "=", ">", "<", "~"}

// ParseCondition reads a condition such as lora_rank=8 or exact_match>0.5.
func ParseCondition(text string) (Condition, error) {
	at := strings.IndexAny(text, "=!<>~")
	if at < 0 {
		return Condition{}, fmt.Errorf("%q is no condition: write a key, one of = != < <= > >= ~, and a value, such as lora_rank=8", text)
	}
	for _, op := range operators {
		rest, ok := strings.CutPrefix(text[at:], op)
		if !ok {
			continue
		}
		c := Condition{strings.TrimSpace(text[:at]), op, strings.TrimSpace(rest)}
		if op == "==" {
			c.Op = "="
		}
		return c, c.check()
	}
	return Condition{}, fmt.Errorf("%q is no condition: ! alone is no comparison", text)
}

func (c Condition) String() string { return c.Key + c.Op + c.Value }

// check refuses what cannot be compared.
func (c Condition) check() error {
	_, isNumber := finite(c.Value)
	_, isText := textColumns[c.Key]
	switch {
	case c.Key == "":
		return fmt.Errorf("the condition %q has no key", c)
	case c.Key == "started":
		return fmt.Errorf("the condition %q is about time: a date since when runs are wanted is a filter of its own", c)
	case c.Value == "":
		return fmt.Errorf("the condition %q has no value", c)
	case strings.ContainsAny(c.Op, "<>") && !isNumber:
		return fmt.Errorf("the condition %q wants a number, and %q is none", c, c.Value)
	case strings.ContainsAny(c.Op, "<>") && isText:
		return fmt.Errorf("the condition %q compares a text by size; = != and ~ are for texts", c)
	case c.Op == "~" && (c.isMetric() || numberColumns[c.Key] != ""):
		return fmt.Errorf("the condition %q looks for a text in a number", c)
	case !isNumber && (c.isMetric() || numberColumns[c.Key] != ""):
		return fmt.Errorf("the condition %q wants a number, and %q is none", c, c.Value)
	}
	return nil
}

// finite reads a number.
func finite(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// The columns of a run that are no keys of a recipe, or stand in place of one.
var (
	textColumns = map[string]string{
		"run": "r.folder", "status": "r.status", "error": "r.error", "model": "r.model", "method": "r.method", "arm": "a.name",
	}
	numberColumns = map[string]string{"steps": "r.steps", "planned": "r.planned"}
)

// columns are their names.
var columns = []string{"run", "status", "error", "model", "method", "arm", "steps", "planned"}

// recipeKeys are the keys of recipes.
var recipeKeys = func() []string {
	var all []string
	for _, f := range train.Keys() {
		all = append(all, train.Key(f))
	}
	return all
}()

// stagePrefix stands before a key of a stage of a recipe with stages.
func stagePrefix(stage int) string { return fmt.Sprintf("stages[%d].", stage) }

// isMetric reports a key that is neither a column nor one of a recipe.
func (c Condition) isMetric() bool {
	return !slices.Contains(columns, c.Key) && !slices.Contains(recipeKeys, c.Key)
}

// CheckKeys refuses the first key that is not known, and says which may be meant.
func CheckKeys(keys, known []string) error {
	for _, key := range keys {
		if slices.Contains(known, key) {
			continue
		}
		if meant := train.Meant(strings.ReplaceAll(key, "-", "_"), known); meant != "" {
			return fmt.Errorf("no run has %q; perhaps %s is meant", key, meant)
		}
		return fmt.Errorf("no run has %q: it is no key of a recipe and no metric of these runs, which are %s", key, strings.Join(metricsAmong(known), ", "))
	}
	return nil
}

func metricsAmong(known []string) []string {
	return slices.DeleteFunc(slices.Clone(known), func(key string) bool {
		return !(Condition{Key: key}).isMetric() || key == "started" || strings.Contains(key, ":")
	})
}

// A clause is a part of a query with its values.
type clause struct {
	text string
	args []any
}

// ofRun is a clause that holds for a run r.
func (f Filter) ofRun() clause {
	all := clause{text: "1"}
	and := func(text string, args ...any) {
		all.text += "\n\t\tAND " + text
		all.args = append(all.args, args...)
	}
	if f.Status != "" {
		and("r.status = ?", f.Status)
	}
	if !f.Since.IsZero() {
		and("r.started >= ?", f.Since.UnixMicro())
	}
	if f.Study != "" {
		and("EXISTS (SELECT 1 FROM arm_runs ar JOIN arms a ON a.id = ar.arm JOIN studies s ON s.id = a.study WHERE ar.folder = r.folder AND s.name = ?)", f.Study)
	}
	for _, c := range f.Where {
		part := f.meets(c)
		and(part.text, part.args...)
	}
	return all
}

// ofMetric is a clause that holds for a metric m of a run that is wanted.
func (f Filter) ofMetric() clause {
	if f.Study == "" {
		return clause{text: "1"}
	}
	return clause{"(m.study IS NULL OR m.study IN (SELECT id FROM studies WHERE name = ?))", []any{f.Study}}
}

// meets is a clause that holds for a run r that meets a condition.
func (f Filter) meets(c Condition) clause {
	if column, ok := numberColumns[c.Key]; ok {
		v, _ := finite(c.Value) // checked
		return clause{column + " " + c.Op + " ?", []any{v}}
	}
	var from clause
	value, number := "s.value", "s.number"
	switch column, isText := textColumns[c.Key]; {
	case c.Key == "arm":
		value, number = column, ""
		from.text = "SELECT 1 FROM arm_runs ar JOIN arms a ON a.id = ar.arm JOIN studies s ON s.id = a.study WHERE ar.folder = r.folder"
		if f.Study != "" {
			from.text += " AND s.name = ?"
			from.args = append(from.args, f.Study)
		}
	case isText:
		return compare(c, column, "")
	case c.isMetric():
		value, number = "", "m.value"
		from = f.metricNamed(c.Key)
	default:
		from = clause{"SELECT 1 FROM settings s WHERE s.run = r.id AND s.key = ?", []any{c.Key}}
	}
	has := "EXISTS (" + from.text + ")"
	if c.Op != "!=" {
		found := compare(c, value, number)
		return clause{"EXISTS (" + from.text + " AND " + found.text + ")", slices.Concat(from.args, found.args)}
	}
	found := compare(Condition{c.Key, "=", c.Value}, value, number)
	return clause{has + " AND NOT EXISTS (" + from.text + " AND " + found.text + ")", slices.Concat(from.args, from.args, found.args)}
}

// metricNamed finds metrics of a run r by a name, or by STUDY:NAME.
func (f Filter) metricNamed(key string) clause {
	of := f.ofMetric()
	c := clause{"SELECT 1 FROM metrics m WHERE m.folder = r.folder AND " + of.text, of.args}
	if study, name, ok := strings.Cut(key, ":"); ok {
		c.text += " AND (m.name = ? OR m.name = ? AND m.study IN (SELECT id FROM studies WHERE name = ?))"
		c.args = append(c.args, key, name, study)
		return c
	}
	c.text += " AND m.name = ?"
	c.args = append(c.args, key)
	return c
}

// compare compares columns with the value of a condition: as numbers where the value
// is one and there is a column of numbers.
func compare(c Condition, value, number string) clause {
	v, isNumber := finite(c.Value)
	switch {
	case c.Op == "~":
		return clause{"instr(" + value + ", ?) > 0", []any{c.Value}}
	case isNumber && number != "":
		return clause{number + " " + c.Op + " ?", []any{v}}
	}
	return clause{value + " " + c.Op + " ?", []any{c.Value}}
}
