package registry

import (
	"maps"
	"slices"
)

// A Comparison lays runs side by side.
type Comparison struct {
	Runs    []string     `json:"runs"`
	Recipe  []Difference `json:"recipe"` // keys that differ, in the order of recipes
	Same    int          `json:"same"`   // keys that do not
	Metrics []Scores     `json:"metrics"`
}

// A Difference is a key with its value in each run, "" where a run has none.
type Difference struct {
	Key    string  `json:"key"`
	Values []Value `json:"values"`
}

// Scores are a metric with its value in each run, nil where a run has none.
type Scores struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"`
}

// Compare compares runs: what their recipes have otherwise, beside their metrics.
func Compare(runs []Run) Comparison {
	c := Comparison{Recipe: []Difference{}, Metrics: []Scores{}}
	for _, r := range runs {
		c.Runs = append(c.Runs, r.Folder)
	}
	for _, key := range settingsOf(runs) {
		d := Difference{Key: key}
		for _, r := range runs {
			d.Values = append(d.Values, r.Recipe[key])
		}
		if len(slices.Compact(slices.Clone(d.Values))) > 1 {
			c.Recipe = append(c.Recipe, d)
		} else {
			c.Same++
		}
	}
	for _, name := range metricsOf(runs) {
		s := Scores{Name: name}
		for _, r := range runs {
			if v, ok := r.Metrics[name]; ok {
				s.Values = append(s.Values, &v)
			} else {
				s.Values = append(s.Values, nil)
			}
		}
		c.Metrics = append(c.Metrics, s)
	}
	return c
}

// settingsOf lists the keys of the recipes of runs in the order of recipes, those of
// the first stage before those of the second.
func settingsOf(runs []Run) []string {
	there := make(map[string]bool)
	for _, r := range runs {
		for key := range r.Recipe {
			there[key] = true
		}
	}
	var all []string
	take := func(prefix string) (taken bool) {
		for _, key := range recipeKeys {
			if key = prefix + key; there[key] {
				all, taken = append(all, key), true
				delete(there, key)
			}
		}
		return taken
	}
	take("")
	for i := 0; take(stagePrefix(i)); i++ {
	}
	return append(all, slices.Sorted(maps.Keys(there))...) // keys of another program
}

// metricsOf lists the metrics of runs: their own in the order of lists, then those of
// studies by name.
func metricsOf(runs []Run) []string {
	there := make(map[string]bool)
	for _, r := range runs {
		for name := range r.Metrics {
			there[name] = true
		}
	}
	var all []string
	for _, name := range ownNames {
		if there[name] {
			all = append(all, name)
			delete(there, name)
		}
	}
	return append(all, slices.Sorted(maps.Keys(there))...)
}

// StudyMetrics are the names of metrics that runs have from studies.
func StudyMetrics(runs []Run) []string {
	return slices.DeleteFunc(metricsOf(runs), func(name string) bool { return slices.Contains(ownNames, name) })
}
