package train

import (
	"math"
	"path/filepath"

	"gotune/internal/disk"
)

// bestName is the folder of the weights with the best evaluation; of a run of stages
// there is one in it for each stage, since a stage that is killed before its first
// checkpoint begins anew from the best of the stage before.
const bestName = "best"

// best is the folder of the best state of a stage.
func (f *folder) best(r Recipe, index int) string {
	if len(r.Stages) == 0 {
		return f.join(bestName)
	}
	return f.join(bestName, filepath.Base(f.stage(r, index)))
}

// bestState is what is known of the evaluations of a stage. It is part of the
// checkpoints.
type bestState struct {
	Step    int     `json:"step,omitempty"` // of the run, of the best evaluation; 0 before the first
	Value   float64 `json:"value,omitempty"`
	Waited  int     `json:"waited,omitempty"`  // evaluations since then
	Stopped bool    `json:"stopped,omitempty"` // the stage was stopped early
}

// judge compares an evaluation with the best one and keeps the weights where it
// is better.
func (j *job) judge(e EvalEvent) error {
	r := j.recipe
	value := e.metric(r.MetricForBestModel)
	if value == nil || !r.LoadBestModelAtEnd && r.EarlyStoppingPatience == 0 {
		return nil
	}
	gain := *value - j.best.Value
	if r.MetricForBestModel == "loss" {
		gain = -gain
	}
	if j.best.Step == 0 || gain > r.EarlyStoppingThreshold {
		j.best = bestState{Step: e.Step, Value: *value}
		if r.LoadBestModelAtEnd {
			return disk.WriteFolder(j.folder.best(j.recipe, j.stage.index), j.saveWeights)
		}
		return nil
	}
	j.best.Waited++
	j.best.Stopped = r.EarlyStoppingPatience > 0 && j.best.Waited >= r.EarlyStoppingPatience
	return nil
}

// metric returns a score by its name in the recipe, or nil.
func (s Scores) metric(name string) *float64 {
	v := map[string]*float64{"loss": s.Loss, "exact_match": s.ExactMatch, "generated_match": s.GeneratedMatch}[name]
	if v == nil || math.IsNaN(*v) {
		return nil
	}
	return v
}

// takeBest goes back to the weights of the stage's best evaluation.
func (j *job) takeBest() error {
	if !j.recipe.LoadBestModelAtEnd || j.best.Step == 0 {
		return nil
	}
	return j.restoreWeights(j.folder.best(j.recipe, j.stage.index))
}
