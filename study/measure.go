package study

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gotune/internal/disk"
	"gotune/lora"
	"gotune/train"
)

// measuresName is the file in a run folder of what was measured of its result, by how
// it was measured. A finished run does not change, so that nothing is measured twice.
const measuresName = "measures.json"

// A measured is one of them.
type measured struct {
	Value    float64 `json:"value"`
	Censored bool    `json:"censored,omitempty"`
}

// A gauge takes measures of a finished run.
type gauge struct {
	run    string
	hashes *hasher

	recipe   train.Recipe
	timeline *timeline
	facts    *facts
	models   map[bool]*tuned // true for the model that the run began with
}

// measure returns the metrics of a finished run, by their names.
func measure(ctx context.Context, run string, metrics []MetricSpec, hashes *hasher) (values map[string]measured, err error) {
	known, err := readMeasures(run)
	if err != nil {
		return nil, err
	}
	g := &gauge{run: run, hashes: hashes, models: make(map[bool]*tuned)}
	defer func() {
		for _, t := range g.models {
			err = errors.Join(err, t.close())
		}
	}()
	values = make(map[string]measured)
	fresh := false
	for _, m := range metrics {
		if m.Measure.Family == "plan" {
			continue // of the recipe, not of the run
		}
		if m.Product != nil {
			values[m.Name] = measured{Value: product(values, m.Product)}
			continue
		}
		spec, err := g.spec(m)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", m.Name, err)
		}
		v, ok := known[spec]
		if !ok {
			if v, err = g.take(ctx, m); err != nil {
				return nil, fmt.Errorf("metric %s: %w", m.Name, err)
			}
			if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
				return nil, fmt.Errorf("metric %s: its value is %g", m.Name, v.Value)
			}
			known[spec], fresh = v, true
		}
		values[m.Name] = v
	}
	if !fresh {
		return values, nil
	}
	return values, disk.WriteJSON(filepath.Join(run, measuresName), known)
}

// product multiplies metrics, those below 0 as 0.
func product(values map[string]measured, names []string) float64 {
	x := 1.0
	for _, name := range names {
		x *= math.Max(0, values[name].Value)
	}
	return x
}

func readMeasures(run string) (map[string]measured, error) {
	known := make(map[string]measured)
	raw, err := os.ReadFile(filepath.Join(run, measuresName))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &known)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(run, measuresName), err)
	}
	return known, nil
}

// spec names a measurement: how it is done, and the bytes of the files it reads.
func (g *gauge) spec(m MetricSpec) (string, error) {
	spec := m.Measure.Family + " " + m.Spec()
	if m.Measure.Family == "curve" {
		return spec, nil // the files are those of the run
	}
	for _, path := range m.files() {
		sum, err := g.hashes.of(path)
		if err != nil {
			return "", err
		}
		spec += fmt.Sprintf(" [%.12s]", sum)
	}
	return spec, nil
}

// files are the data that the metric reads.
func (m MetricSpec) files() []string {
	files := slices.Clone(m.Data)
	if m.Minus != "" && m.Minus != "start" {
		files = append(files, m.Minus)
	}
	return files
}

// take measures.
func (g *gauge) take(ctx context.Context, m MetricSpec) (measured, error) {
	if err := g.read(); err != nil {
		return measured{}, err
	}
	switch m.Measure.Family {
	case "curve":
		c, err := g.timeline.curve(m)
		if err != nil {
			return measured{}, err
		}
		x, censored := m.Measure.curve(c, m)
		return measured{x, censored}, nil
	case "run":
		switch m.Measure.Name {
		case deltaNorm:
			x, err := g.deltaNorm(ctx)
			return measured{Value: x}, err
		case digest:
			x, err := g.digest(ctx)
			return measured{Value: x}, err
		}
		return measured{Value: m.Measure.run(*g.facts)}, nil
	}
	x, err := g.score(ctx, m, m.Data, false)
	if err != nil || m.Minus == "" {
		return measured{Value: x}, err
	}
	data, start := []string{m.Minus}, false
	if m.Minus == "start" {
		data, start = m.Data, true
	}
	y, err := g.score(ctx, m, data, start)
	return measured{Value: x - y}, err
}

// read reads what the run has written.
func (g *gauge) read() error {
	if g.facts != nil {
		return nil
	}
	t, err := readTimeline(g.run)
	if err != nil {
		return err
	}
	f, err := readFacts(g.run, t)
	if err != nil {
		return err
	}
	g.recipe = train.DefaultRecipe()
	if err := g.recipe.ReadFile(filepath.Join(g.run, "recipe.yaml")); err != nil {
		return err
	}
	g.timeline, g.facts = &t, &f
	return nil
}

func (g *gauge) score(ctx context.Context, m MetricSpec, data []string, start bool) (float64, error) {
	t, err := g.model(ctx, start)
	if err != nil {
		return 0, err
	}
	return m.score(ctx, t, data)
}

// model loads the model that the run ended with, or began with.
func (g *gauge) model(ctx context.Context, start bool) (*tuned, error) {
	if t := g.models[start]; t != nil {
		return t, nil
	}
	from, err := g.where(start)
	if err != nil {
		return nil, err
	}
	t, err := openTuned(ctx, from, g.recipe)
	if err == nil {
		g.models[start] = t
	}
	return t, err
}

// where is the model that the run ended with, or began with.
func (g *gauge) where(start bool) (train.RunResult, error) {
	from, err := train.ReadRun(g.run)
	if err != nil || !start {
		return from, err
	}
	if g.recipe.Pretraining() {
		return from, errors.New("the run made a new model, which has no start to compare with")
	}
	from.Model, from.Adapter = g.recipe.Model, g.recipe.Adapter
	return from, nil
}

// digest names all weights of the result, the adapter's update included, by the first
// 52 bits of their SHA-256, which a float64 holds exactly.
func (g *gauge) digest(ctx context.Context) (float64, error) {
	t, err := g.model(ctx, false)
	if err != nil {
		return 0, err
	}
	weights, err := t.weights()
	if err != nil {
		return 0, err
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		fmt.Fprintf(h, "%s %d\n", name, len(weights[name]))
		if err := binary.Write(h, binary.LittleEndian, weights[name]); err != nil {
			return 0, err
		}
	}
	return float64(binary.BigEndian.Uint64(h.Sum(nil)) >> 12), nil
}

// deltaNorm measures how far the weights have moved.
func (g *gauge) deltaNorm(ctx context.Context) (float64, error) {
	begin, err := g.where(true)
	if err != nil {
		return 0, err
	}
	end, err := g.where(false)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	if begin.Adapter == "" && end.Adapter != "" && end.Model == begin.Model {
		_, updates, err := lora.Analyse(os.DirFS(end.Adapter), end.Adapter)
		for _, u := range updates {
			sum += u.Norm * u.Norm
		}
		return math.Sqrt(sum), err
	}
	var weights [2]map[string][]float32
	for i, start := range []bool{true, false} {
		t, err := g.model(ctx, start)
		if err != nil {
			return 0, err
		}
		if weights[i], err = t.weights(); err != nil {
			return 0, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weights[1])) {
		for i, w := range weights[1][name] {
			d := float64(w) - float64(weights[0][name][i])
			sum += d * d
		}
	}
	return math.Sqrt(sum), nil
}
