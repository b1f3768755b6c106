package registry

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gotune/study"
)

// A Run is a run folder as the index holds it.
type Run struct {
	Folder  string           `json:"run"`             // relative to that of the index, with slashes
	Status  string           `json:"status"`          // one of Statuses
	Error   string           `json:"error,omitempty"` // why it is broken, failed or was stopped
	Started time.Time        `json:"started,omitzero"`
	Model   string           `json:"model"`
	Method  string           `json:"method"` // such as LoRA r=8 or full
	Data    string           `json:"data"`
	Seed    uint64           `json:"seed"`
	Steps   int              `json:"steps"`   // taken
	Planned int              `json:"planned"` // 0 where the run has not begun
	Studies []Membership     `json:"studies,omitempty"`
	Recipe  map[string]Value `json:"recipe"` // keys of a stage as stages[0].lora_rank

	// Metrics are those of the last evaluation, those before training as loss_before
	// and so on, train_loss of the last step, and what studies measure. Where these
	// have one name for different values it is STUDY:NAME.
	Metrics map[string]float64 `json:"metrics"`
}

// A Membership says that a run belongs to an arm of a study.
type Membership struct {
	Study string `json:"study"`
	Arm   string `json:"arm"`
	Seed  uint64 `json:"seed"`
}

// A Value is a value of a recipe as on a command line. In JSON numbers and truth
// values are no texts.
type Value string

// MarshalJSON writes the value.
func (v Value) MarshalJSON() ([]byte, error) {
	if _, ok := finite(string(v)); ok && json.Valid([]byte(v)) || v == "true" || v == "false" {
		return []byte(v), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // control tokens are written with < and >
	err := enc.Encode(string(v))
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// Keys lists what runs can be filtered and sorted by: columns, keys of recipes, and
// the metrics that are there.
func (r *Registry) Keys(ctx context.Context) ([]string, error) {
	names, err := texts(ctx, r.db, `SELECT DISTINCT name FROM metrics
		UNION SELECT DISTINCT s.name || ':' || m.name FROM metrics m JOIN studies s ON s.id = m.study ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("index of %s: %w", r.dir, err)
	}
	all := slices.Concat(columns, []string{"started"})
	for _, name := range slices.Concat(recipeKeys, ownNames, names) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all, nil
}

// Runs returns the runs that are wanted, the newest first. [Registry.Sync] comes
// before it where folders may have changed.
func (r *Registry) Runs(ctx context.Context, f Filter) ([]Run, error) {
	for _, c := range f.Where {
		if err := c.check(); err != nil {
			return nil, err
		}
	}
	var all []Run
	err := r.inSnapshot(ctx, func(tx *sql.Tx) (err error) {
		all, err = f.read(ctx, tx)
		return err
	})
	return all, err
}

func (f Filter) read(ctx context.Context, tx *sql.Tx) ([]Run, error) {
	wanted := f.ofRun()
	var all []*Run
	at := make(map[int64]*Run)
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var id, started int64
		var seed string
		run := &Run{Recipe: make(map[string]Value), Metrics: make(map[string]float64)}
		err := rows.Scan(&id, &run.Folder, &run.Status, &run.Error, &started, &run.Model, &run.Method, &run.Data, &seed, &run.Steps, &run.Planned)
		run.Seed, _ = strconv.ParseUint(seed, 10, 64) // written by putRun
		run.Started = timeAt(started)
		all, at[id] = append(all, run), run
		return err
	}, `SELECT r.id, r.folder, r.status, r.error, r.started, r.model, r.method, r.data, r.seed, r.steps, r.planned
		FROM runs r WHERE `+wanted.text+` ORDER BY r.started DESC, r.folder DESC`, wanted.args...)
	if err != nil {
		return nil, err
	}
	if err := f.readParts(ctx, tx, wanted, at); err != nil {
		return nil, err
	}
	runs := make([]Run, len(all))
	for i, run := range all {
		runs[i] = *run
	}
	return runs, nil
}

// readParts reads recipes, metrics and arms of the wanted runs.
func (f Filter) readParts(ctx context.Context, tx *sql.Tx, wanted clause, at map[int64]*Run) error {
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var s setting
		err := rows.Scan(&id, &s.stage, &s.key, &s.value)
		if s.stage >= 0 {
			s.key = stagePrefix(s.stage) + s.key
		}
		at[id].Recipe[s.key] = Value(s.value)
		return err
	}, `SELECT r.id, s.stage, s.key, s.value FROM settings s JOIN runs r ON r.id = s.run WHERE `+wanted.text, wanted.args...)
	if err != nil {
		return err
	}
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var m Membership
		var seed string
		err := rows.Scan(&id, &m.Study, &m.Arm, &seed)
		m.Seed, _ = strconv.ParseUint(seed, 10, 64)
		at[id].Studies = append(at[id].Studies, m)
		return err
	}, `SELECT r.id, s.name, a.name, ar.seed FROM arm_runs ar JOIN arms a ON a.id = ar.arm JOIN studies s ON s.id = a.study
		JOIN runs r ON r.folder = ar.folder WHERE `+wanted.text+` ORDER BY s.name, a.id, ar.seed`, wanted.args...)
	if err != nil {
		return err
	}
	// Those of the run itself come first and keep the plain name.
	of := f.ofMetric()
	return each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var name, study string
		var v float64
		err := rows.Scan(&id, &study, &name, &v)
		if had, ok := at[id].Metrics[name]; ok && had != v {
			name = study + ":" + name
		}
		at[id].Metrics[name] = v
		return err
	}, `SELECT r.id, coalesce(s.name, ''), m.name, m.value FROM metrics m JOIN runs r ON r.folder = m.folder LEFT JOIN studies s ON s.id = m.study
		WHERE `+of.text+` AND `+wanted.text+` ORDER BY s.name IS NOT NULL, s.name, m.name`, slices.Concat(of.args, wanted.args)...)
}

// Value returns what a run has for a key as text. It is "" where the run has none, and
// the values of all stages where they differ.
func (r Run) Value(key string) string {
	switch key {
	case "run":
		return r.Folder
	case "status":
		return r.Status
	case "error":
		return r.Error
	case "model":
		return r.Model
	case "method":
		return r.Method
	case "data":
		return r.Data
	case "arm":
		var arms []string
		for _, m := range r.Studies {
			arms = append(arms, m.Arm)
		}
		return strings.Join(slices.Compact(arms), ", ")
	case "steps":
		return r.count(r.Steps)
	case "planned":
		return r.count(r.Planned)
	case "started":
		if r.Started.IsZero() {
			return ""
		}
		return r.Started.Format(time.RFC3339)
	}
	if v, ok := r.Recipe[key]; ok {
		return string(v)
	}
	if v, ok := r.Metrics[key]; ok {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	var stages []string
	for i := 0; ; i++ {
		if _, ok := r.Recipe[stagePrefix(i)+"data"]; !ok {
			return strings.Join(slices.Compact(stages), " → ")
		}
		if v, ok := r.Recipe[stagePrefix(i)+key]; ok {
			stages = append(stages, string(v))
		}
	}
}

// count is a number of steps, which is not known of a run that cannot be read.
func (r Run) count(steps int) string {
	if r.Status == statusBroken {
		return ""
	}
	return strconv.Itoa(steps)
}

// Sort puts runs in the order of a key, the smallest first, or the largest after a -.
// Numbers are compared as such; runs without the key come last. Runs that are equal
// stay in their order.
func Sort(runs []Run, key string) {
	key, down := strings.CutPrefix(key, "-")
	slices.SortStableFunc(runs, func(a, b Run) int {
		x, y := a.Value(key), b.Value(key)
		if x == "" || y == "" {
			return cmp.Compare(len(y), len(x)) // nothing is after something
		}
		order := cmp.Compare(x, y)
		v, ok := finite(x)
		if w, ok2 := finite(y); ok && ok2 {
			order = cmp.Compare(v, w)
		}
		if down {
			return -order
		}
		return order
	})
}

// A Study is a study as the index holds it.
type Study struct {
	Folder   string          `json:"folder"`
	ID       string          `json:"id"`
	Title    string          `json:"title"`
	Finished time.Time       `json:"finished,omitzero"`
	Error    string          `json:"error,omitempty"` // why its result cannot be read
	Verdicts []study.Verdict `json:"verdicts"`        // without the values of seeds and the parts of conjunctions
}

// Studies returns all studies by ID.
func (r *Registry) Studies(ctx context.Context) ([]Study, error) {
	byID := make(map[int64]*Study)
	err := r.inSnapshot(ctx, func(tx *sql.Tx) error {
		err := each(ctx, tx, func(rows *sql.Rows) error {
			var id, finished int64
			s := &Study{Verdicts: []study.Verdict{}}
			err := rows.Scan(&id, &s.Folder, &s.ID, &s.Title, &finished, &s.Error)
			s.Finished = timeAt(finished)
			byID[id] = s
			return err
		}, `SELECT id, folder, name, title, finished, error FROM studies`)
		if err != nil {
			return err
		}
		return each(ctx, tx, func(rows *sql.Rows) error {
			var id int64
			var v study.Verdict
			err := rows.Scan(&id, &v.Name, &v.Claim, &v.Metric, &v.Contrast, &v.Expect, &v.Margin, &v.Effect, &v.Low, &v.High,
				&v.P, &v.PHolm, &v.PSuite, &v.Seeds, &v.Needs, &v.Outcome, &v.Reading, &v.Provisional)
			byID[id].Verdicts = append(byID[id].Verdicts, v)
			return err
		}, `SELECT study, name, claim, metric, contrast, expect, margin, effect, low, high, p, p_holm, p_suite, seeds, needs, outcome, reading, provisional
			FROM verdicts WHERE NOT manipulation ORDER BY study, place`)
	})
	var all []Study
	for s := range maps.Values(byID) {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Study) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Folder, b.Folder)) })
	return all, err
}
