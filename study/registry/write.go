package registry

import (
	"context"
	"database/sql"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gotune/study"
)

// Put writes the result of a study, without its folder being read. What it holds of
// runs is there at once; the runs themselves come by [Registry.Sync].
func (r *Registry) Put(ctx context.Context, s study.Result) error {
	f := found{aStudy, path.Join("studies", s.ID), ""} // no stamp, so that Sync compares it with the folder
	return r.inTx(ctx, func(tx *sql.Tx) error { return putStudy(ctx, tx, f, s, nil) })
}

func drop(ctx context.Context, tx *sql.Tx, k kind, folder string) error {
	table := "runs"
	if k == aStudy {
		table = "studies"
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE folder = ?", folder)
	return err
}

// A writer inserts rows until one fails.
type writer struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

// insert adds a row and returns its number.
func (w *writer) insert(table string, values ...any) int64 {
	if w.err != nil {
		return 0
	}
	result, err := w.tx.ExecContext(w.ctx, "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
	if err != nil {
		w.err = err
		return 0
	}
	id, err := result.LastInsertId()
	w.err = err
	return id
}

// putRun writes a run in place of what the index held of its folder.
func putRun(ctx context.Context, tx *sql.Tx, f found, r runFolder) error {
	w := writer{ctx: ctx, tx: tx, err: drop(ctx, tx, aRun, f.folder)}
	var data []string
	for _, s := range r.settings {
		if s.key == "data" && !slices.Contains(data, s.value) {
			data = append(data, s.value)
		}
	}
	started := int64(0)
	if !r.info.Started.IsZero() {
		started = r.info.Started.UnixMicro()
	}
	id := w.insert("runs", nil, f.folder, r.info.Status, r.err, started, r.info.Model, r.method, strings.Join(data, " → "),
		strconv.FormatUint(r.info.Seed, 10), r.info.Steps, r.info.Planned, f.stamp)
	for _, s := range r.settings {
		w.insert("settings", id, s.stage, s.key, s.value, number(s.value))
	}
	for _, m := range r.metrics {
		w.insert("metrics", id, nil, f.folder, m.name, m.value, false)
	}
	e := r.environment
	w.insert("environment", id, nil, "", "", r.info.Arithmetic, e.CPULevel, e.Go, e.OS, e.Arch, e.Threads, 0)
	return w.err
}

// number is the value of a text that is a number, and NULL of another.
func number(text string) sql.NullFloat64 {
	v, ok := finite(text)
	return sql.NullFloat64{Float64: v, Valid: ok}
}

// putStudy writes a study, or why it cannot be read, in place of what the index held
// of its folder.
func putStudy(ctx context.Context, tx *sql.Tx, f found, s study.Result, broken error) error {
	w := writer{ctx: ctx, tx: tx, err: drop(ctx, tx, aStudy, f.folder)}
	message := ""
	if broken != nil {
		message = broken.Error()
	}
	finished := int64(0)
	if !s.Finished.IsZero() {
		finished = s.Finished.UnixMicro()
	}
	id := w.insert("studies", nil, f.folder, s.ID, s.Title, string(s.Kind), strings.Join(s.Claims, ","), finished, s.Command, message, f.stamp)
	lab := path.Dir(path.Dir(f.folder))
	for _, a := range s.Arms {
		arm := w.insert("arms", nil, id, a.Name, a.From, a.Reuses)
		for _, run := range a.Runs {
			w.run(id, arm, path.Join(lab, run.Run), run)
		}
	}
	w.verdicts(id, s.Verdicts, false)
	w.verdicts(id, s.Checks, true)
	e := s.Environment
	w.insert("environment", nil, id, e.Version, e.Commit, e.Arithmetic, e.CPULevel, e.Go, "", "", 0, e.Jobs)
	return w.err
}

func (w *writer) run(study, arm int64, folder string, r study.RunResult) {
	w.insert("arm_runs", arm, folder, strconv.FormatUint(r.Seed, 10), r.Status, r.Error)
	for name, v := range r.Metrics {
		w.insert("metrics", nil, study, folder, name, v, slices.Contains(r.Censored, name))
	}
	for name, v := range map[string]float64{"tokens": float64(r.Tokens), "seconds": r.Seconds} {
		if _, measured := r.Metrics[name]; !measured && v > 0 {
			w.insert("metrics", nil, study, folder, name, v, false)
		}
	}
}

func (w *writer) verdicts(study int64, all []study.Verdict, manipulation bool) {
	for i, v := range all {
		w.insert("verdicts", study, i, manipulation, v.Name, v.Claim, v.Metric, v.Contrast, v.Expect, v.Margin,
			v.Effect, v.Low, v.High, v.P, v.PHolm, v.PSuite, v.Seeds, v.Needs, v.Outcome, v.Reading, v.Provisional)
	}
}

// timeAt is a time of the index, which counts microseconds: nanoseconds would end in
// the year 2262.
func timeAt(microseconds int64) time.Time {
	if microseconds == 0 {
		return time.Time{}
	}
	return time.UnixMicro(microseconds).UTC()
}
