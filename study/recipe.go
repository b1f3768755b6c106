package study

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gotune/internal/yamlnode"
	"gotune/train"
)

// placeholder is what a run's seed is put in place of.
const placeholder = "{seed}"

// recipe returns the recipe of an arm for a seed, with values in place of those that
// it has of the keys, and with the evaluations that metrics need. Where it begins with
// a prepared run, model and adapter are those that this one begins with.
func (s *Study) recipe(a *Arm, values map[string]float64, seed uint64, metrics []MetricSpec) (train.Recipe, error) {
	r := train.DefaultRecipe()
	r.ReportTo = "none"
	for _, layer := range a.layers {
		if err := r.Decode(layer); err != nil {
			return r, err
		}
	}
	for _, key := range sortedKeys(values) {
		if err := set(&r, key, values[key]); err != nil {
			return r, yamlnode.At(a.node, "%s: %w", a.Name, err)
		}
	}
	for _, key := range sortedKeys(a.Scale) {
		x, err := strconv.ParseFloat(flat(r)[key], 64)
		if err != nil {
			return r, yamlnode.At(a.node, "%s: scale has %s, which is no key with a number", a.Name, key)
		}
		if err := set(&r, key, x*a.Scale[key]); err != nil {
			return r, yamlnode.At(a.node, "%s: %w", a.Name, err)
		}
	}
	if other, ok := s.models[r.Model]; ok && !r.Pretraining() {
		r.Model = other
	}
	if r.PreviousRun != "" {
		return r, yamlnode.At(a.node, "%s: previous_run is set by from: leave it out", a.Name)
	}
	if keepsOptimizer(a, r) {
		r.PreviousRun = a.From // until it is run
	}
	if r.Output != "" || r.Threads != 0 || r.MaxMemory != "" || r.Seed != train.DefaultRecipe().Seed {
		return r, yamlnode.At(a.node, "%s: output, threads, max_memory and seed are set by the study: leave them out", a.Name)
	}
	for _, m := range metrics {
		if err := m.prepare(&r); err != nil {
			return r, yamlnode.At(a.node, "%s: %w", a.Name, err)
		}
	}
	substitute(reflect.ValueOf(&r).Elem(), a.filler(seed))
	r.Seed, r.Threads = seed, 1
	if err := r.Validate(); err != nil {
		return r, yamlnode.At(a.node, "%s: %w", a.Name, err)
	}
	return r, nil
}

// keepsOptimizer reports whether an arm goes on with the optimizer of the prepared run.
func keepsOptimizer(a *Arm, r train.Recipe) bool {
	return a.From != "" && firstStage(r).PreviousOptimizer == "keep"
}

// set sets one key, of all stages or as NAME.key of one.
func set(r *train.Recipe, key string, value float64) error {
	text := fmt.Sprintf("%s: %s", key, strconv.FormatFloat(value, 'g', -1, 64))
	mapping, err := yamlnode.Mapping([]byte(text), "value")
	if err == nil {
		err = r.Decode(mapping)
	}
	if err != nil {
		return fmt.Errorf("setting %s: %w", text, err)
	}
	return nil
}

// filler puts a seed, and the arm's own texts, in place of their names in braces.
func (a *Arm) filler(seed uint64) *strings.Replacer {
	pairs := []string{placeholder, strconv.FormatUint(seed, 10)}
	for _, name := range sortedKeys(a.texts) {
		pairs = append(pairs, "{"+name+"}", strings.ReplaceAll(a.texts[name], placeholder, pairs[1]))
	}
	return strings.NewReplacer(pairs...)
}

// substitute fills in all texts of a value.
func substitute(v reflect.Value, fill *strings.Replacer) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fill.Replace(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			substitute(v.Field(i), fill)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		for i := range own.Len() {
			substitute(own.Index(i), fill)
		}
		v.Set(own)
	}
}

// flat lists the keys of a recipe and their values, those of stages as NAME.key.
func flat(r train.Recipe) map[string]string {
	all := make(map[string]string)
	whole := reflect.ValueOf(r)
	for _, f := range train.Keys() {
		if len(r.Stages) > 0 && len(f.Index) > 1 {
			continue
		}
		all[train.Key(f)] = written(whole.FieldByIndex(f.Index))
	}
	if len(r.Stages) == 0 {
		all["param_groups"] = written(reflect.ValueOf(r.ParamGroups))
	}
	for _, stage := range r.Stages {
		v := reflect.ValueOf(stage)
		for i := range v.NumField() {
			all[stage.Name+"."+train.Key(v.Type().Field(i))] = written(v.Field(i))
		}
	}
	return all
}

// written is a value as JSON, and a text as it is.
func written(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return v.String()
	}
	if d, ok := v.Interface().(train.Datasets); ok {
		var parts []string
		for _, one := range d {
			if one == (train.Dataset{Path: one.Path}) {
				parts = append(parts, one.Path)
			} else {
				raw, _ := json.Marshal(one) // a struct of texts and numbers
				parts = append(parts, string(raw))
			}
		}
		return strings.Join(parts, ", ")
	}
	raw, _ := json.Marshal(v.Interface()) // texts, numbers and lists of them
	return string(raw)
}

// differs returns, for each arm, the keys of its recipe that others have otherwise,
// and those of them that are numbers, with the attributes that the arms tell
// themselves.
func differs(arms []*Arm, recipes []train.Recipe) ([]map[string]string, []map[string]float64) {
	var flats []map[string]string
	for _, r := range recipes {
		flats = append(flats, flat(r))
	}
	differ := make(map[string]bool)
	for _, f := range flats {
		for key := range f {
			for _, g := range flats {
				if g[key] != f[key] {
					differ[key] = true
				}
			}
		}
	}
	texts, numbers := make([]map[string]string, len(flats)), make([]map[string]float64, len(flats))
	for i, f := range flats {
		texts[i], numbers[i] = make(map[string]string), make(map[string]float64)
		for key := range differ {
			if value, ok := f[key]; ok {
				texts[i][key] = value
				if x, err := strconv.ParseFloat(value, 64); err == nil {
					numbers[i][key] = x
				}
			}
		}
		for key, x := range arms[i].attributes {
			numbers[i][key] = x
		}
	}
	return texts, numbers
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
