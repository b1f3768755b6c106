package train

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gotune/internal/disk"
)

// A RunInfo describes a run folder.
type RunInfo struct {
	Path    string    `json:"path"`
	Status  string    `json:"status"` // running, finished or unfinished
	Stopped string    `json:"stopped,omitempty"`
	Started time.Time `json:"started,omitzero"`

	Model      string   `json:"model"`
	Adapter    string   `json:"adapter,omitempty"` // that was gone on with
	Data       []string `json:"data"`
	Seed       uint64   `json:"seed"`
	Arithmetic string   `json:"arithmetic,omitempty"`

	Stages      []StageInfo `json:"stages"`
	Steps       int         `json:"steps"`        // taken
	Planned     int         `json:"steps_wanted"` // 0 where the run has not begun
	Losses      *Losses     `json:"losses,omitempty"`
	Evaluations []EvalEvent `json:"evaluations"`
	Best        *BestInfo   `json:"best,omitempty"`

	Checkpoints []string `json:"checkpoints"`
	Result      string   `json:"result,omitempty"` // "" before the end
}

// A StageInfo is a stage of a run's recipe and how far it has come.
type StageInfo struct {
	Name   string   `json:"name,omitempty"`
	Method string   `json:"method"`
	Data   []string `json:"data"`
	Steps  int      `json:"steps"` // taken
}

// Losses are those of the steps of a run, in nats a target token.
type Losses struct {
	First  float64 `json:"first"`
	Last   float64 `json:"last"`
	Lowest float64 `json:"lowest"`
	At     int     `json:"lowest_step"`
}

// A BestInfo is the best evaluation of the stage at work.
type BestInfo struct {
	Metric       string  `json:"metric"`
	Step         int     `json:"step"`
	Value        float64 `json:"value"`
	StoppedEarly bool    `json:"stopped_early"`
	Kept         bool    `json:"kept"` // the result is this state (load_best_model_at_end)
}

// The values of RunInfo.Status; a run that is neither can be gone on with.
const statusUnfinished = "unfinished"

// IsRun reports whether a folder looks like a run folder.
func IsRun(path string) bool {
	_, err := os.Stat(filepath.Join(path, recipeName))
	_, err2 := os.Stat(filepath.Join(path, checkpointsName))
	return err == nil && err2 == nil
}

// IsFinished reports whether a folder holds a run that has come to its end.
func IsFinished(path string) bool {
	raw, err := os.ReadFile(filepath.Join(path, runName))
	var record runRecord
	return err == nil && json.Unmarshal(raw, &record) == nil && record.Status == statusFinished
}

// Describe reads what a run folder tells of its run. The run may be at work; it is
// not disturbed.
func Describe(path string) (RunInfo, error) {
	f := &folder{path: path}
	r, record, err := f.read()
	if err != nil {
		return RunInfo{}, err
	}
	info := RunInfo{
		Path: path, Status: f.status(record), Stopped: record.Stopped, Model: r.Model, Adapter: r.Adapter, Data: r.Data.paths(), Seed: r.Seed,
		Arithmetic: record.Arithmetic, Planned: record.Steps,
	}
	if r.Pretraining() {
		info.Model = r.Shape + " (new)"
	}
	for _, s := range r.plan() {
		info.Stages = append(info.Stages, StageInfo{Name: s.Name, Method: s.method(), Data: s.Data.paths()})
	}
	var e environment
	if raw, err := os.ReadFile(f.join(environmentName)); err == nil && json.Unmarshal(raw, &e) == nil {
		info.Started = e.Started
	}
	if err := info.readMetrics(f.join(metricsName)); err != nil {
		return info, err
	}
	if err := info.readCheckpoints(f, r); err != nil {
		return info, err
	}
	if _, err := os.Stat(f.result(r)); err == nil {
		info.Result = f.result(r)
	}
	return info, nil
}

// status tells a run at work by its lock.
func (f *folder) status(record runRecord) string {
	if record.Status == statusFinished {
		return statusFinished
	}
	if _, err := os.Stat(f.join(lockName)); err == nil {
		lock, err := disk.Lock(f.join(lockName))
		if errors.Is(err, disk.ErrLocked) {
			return statusRunning
		}
		if err == nil {
			_ = lock.Close() // nothing was written
		}
	}
	return statusUnfinished
}

// method says what a stage trains.
func (r Recipe) method() string {
	switch {
	case r.Pretraining():
		return "all weights, from random ones"
	case r.Full && r.LastLayers > 0:
		return fmt.Sprintf("the weights of the last %d layers", r.LastLayers)
	case r.Full:
		return "all weights"
	case r.PEFTType != loraType:
		return r.prompt(nil).Method()
	}
	return fmt.Sprintf("%s r=%d alpha=%g on %s", r.Method(), r.Rank, r.Alpha, strings.Join(r.Targets, ","))
}

// paths lists the paths of datasets.
func (d Datasets) paths() []string {
	paths := []string{}
	for _, one := range d {
		paths = append(paths, one.Path)
	}
	return paths
}

// readMetrics counts steps and finds losses and evaluations. A last line that is
// being written is passed over.
func (info *RunInfo) readMetrics(path string) error {
	info.Evaluations = []EvalEvent{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil // a part of a line, or none
		}
		var kind struct {
			Event string `json:"event"`
		}
		var step StepEvent
		var eval EvalEvent
		if err = json.Unmarshal(line, &kind); err == nil && kind.Event == "step" {
			if err = json.Unmarshal(line, &step); err == nil {
				info.step(step)
			}
		} else if err == nil && kind.Event == "eval" {
			if err = json.Unmarshal(line, &eval); err == nil {
				info.Evaluations = append(info.Evaluations, eval)
			}
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
}

func (info *RunInfo) step(e StepEvent) {
	info.Steps = e.Step
	for i := range info.Stages {
		if info.Stages[i].Name == e.Stage {
			info.Stages[i].Steps++
		}
	}
	if info.Losses == nil {
		info.Losses = &Losses{First: e.Loss, Lowest: e.Loss, At: e.Step}
	}
	info.Losses.Last = e.Loss
	if e.Loss < info.Losses.Lowest {
		info.Losses.Lowest, info.Losses.At = e.Loss, e.Step
	}
}

// readCheckpoints lists the checkpoints and takes the best evaluation from the
// newest.
func (info *RunInfo) readCheckpoints(f *folder, r Recipe) error {
	info.Checkpoints = []string{}
	steps, err := f.checkpoints()
	if err != nil || len(steps) == 0 {
		return err
	}
	for _, n := range steps {
		info.Checkpoints = append(info.Checkpoints, f.checkpoint(n))
	}
	c, err := DescribeCheckpoint(info.Checkpoints[len(steps)-1])
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a run at work has pruned it
	}
	if err != nil {
		return err
	}
	if plan := r.plan(); c.Best != nil && c.Stage < len(plan) {
		info.Best = c.Best
		info.Best.Metric, info.Best.Kept = plan[c.Stage].MetricForBestModel, r.LoadBestModelAtEnd
	}
	return nil
}

// A CheckpointInfo describes a checkpoint of a run.
type CheckpointInfo struct {
	Path           string    `json:"path"`
	Step           int       `json:"step"`       // of the run
	Stage          int       `json:"stage"`      // from 0
	StageStep      int       `json:"stage_step"` // steps taken of the stage
	OptimizerSteps int       `json:"optimizer_steps"`
	Best           *BestInfo `json:"best,omitempty"` // without its metric
	Files          []string  `json:"files"`
}

// IsCheckpoint reports whether a folder looks like a checkpoint of a run of
// gotune.
func IsCheckpoint(path string) bool {
	_, err := os.Stat(filepath.Join(path, optimizerName))
	_, err2 := os.Stat(filepath.Join(path, stateName))
	return err == nil && err2 == nil
}

// DescribeCheckpoint reads the state of a checkpoint.
func DescribeCheckpoint(dir string) (CheckpointInfo, error) {
	s, err := readState(dir)
	if err != nil {
		return CheckpointInfo{}, fmt.Errorf("checkpoint %s: %w", dir, err)
	}
	c := CheckpointInfo{Path: dir, Step: s.Step, Stage: s.Stage, StageStep: s.Step - s.StageBegun, OptimizerSteps: s.OptimizerSteps}
	if s.Best.Step > 0 {
		c.Best = &BestInfo{Step: s.Best.Step, Value: s.Best.Value, StoppedEarly: s.Best.Stopped}
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		c.Files = append(c.Files, e.Name())
	}
	slices.Sort(c.Files)
	return c, err
}
