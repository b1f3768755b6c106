package registry

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"gotune/study"
	"gotune/train"
)

// The values of Run.Status that a run folder does not tell itself.
const (
	statusFinished = "finished"
	statusFailed   = "failed"
	statusBroken   = "broken"
)

// environment is environment.json of a run.
type environment struct {
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Go       string `json:"go"`
	CPULevel string `json:"cpu_level"`
	Threads  int    `json:"threads"`
}

// A runFolder is what the index holds of a run folder.
type runFolder struct {
	info        train.RunInfo
	method      string
	err         string
	settings    []setting
	metrics     []metric
	environment environment
}

type metric struct {
	name  string
	value float64
}

// readRun reads a run folder. One that cannot be read is broken and tells why.
func readRun(path string) runFolder {
	var f runFolder
	var err error
	recipe := train.DefaultRecipe()
	if err = recipe.ReadFile(filepath.Join(path, recipeName)); err == nil {
		f.settings, f.method = settings(recipe), method(recipe)
		f.info, err = train.Describe(path)
	}
	if raw, err := os.ReadFile(filepath.Join(path, "environment.json")); err == nil {
		_ = json.Unmarshal(raw, &f.environment) // a lost one is no fault of the run
	}
	switch failure, failed := readFailure(path); {
	case failed && f.info.Status != statusFinished:
		f.info.Status, f.err = statusFailed, failure
	case err != nil:
		f.info.Status, f.err = statusBroken, err.Error()
	default:
		f.err = f.info.Stopped
	}
	f.metrics = ownMetrics(f.info)
	return f
}

// readFailure reads failed.json, which the runner of studies leaves in a run that
// failed.
func readFailure(path string) (string, bool) {
	raw, err := os.ReadFile(filepath.Join(path, failedName))
	if err != nil {
		return "", false
	}
	var failure struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(raw, &failure) != nil || failure.Error == "" {
		failure.Error = strings.TrimSpace(string(raw))
	}
	return failure.Error, true
}

// ownNames are the metrics of a run folder in the order of lists.
var ownNames = []string{
	"loss", "exact_match", "exact_match_unseen_wording", "generated_match", "log_probability", "retain_loss", "train_loss", "lowest_train_loss",
	"loss_before", "exact_match_before", "exact_match_unseen_wording_before", "generated_match_before", "log_probability_before", "retain_loss_before",
}

// ownMetrics are the scores of the last evaluation, those before training with
// _before at their names, and the loss of training.
func ownMetrics(info train.RunInfo) []metric {
	var all []metric
	if l := info.Losses; l != nil {
		all = append(all, metric{"train_loss", l.Last}, metric{"lowest_train_loss", l.Lowest})
	}
	scores := make(map[string]train.Scores)
	for _, e := range info.Evaluations {
		if e.When == "before" {
			scores["_before"] = e.Scores
		} else {
			scores[""] = e.Scores
		}
	}
	for suffix, s := range scores {
		for name, v := range map[string]*float64{
			"loss": s.Loss, "exact_match": s.ExactMatch, "exact_match_unseen_wording": s.UnseenWording,
			"generated_match": s.GeneratedMatch, "log_probability": s.LogProbability, "retain_loss": s.RetainLoss,
		} {
			if v != nil {
				all = append(all, metric{name + suffix, *v})
			}
		}
	}
	return all
}

// method says in a few words what a run trains.
func method(r train.Recipe) string {
	if r.Pretraining() {
		return "new"
	}
	stages := r.Stages
	if len(stages) == 0 {
		stages = []train.Stage{r.Stage}
	}
	var all []string
	for _, s := range stages {
		text := fmt.Sprintf("%s r=%d", s.Method(), s.Rank)
		switch {
		case s.Full:
			text = "full"
		case r.Adapter != "":
			text = "LoRA"
		}
		if s.LastLayers > 0 {
			text += fmt.Sprintf(" (last %d)", s.LastLayers)
		}
		if len(all) == 0 || all[len(all)-1] != text {
			all = append(all, text)
		}
	}
	return strings.Join(all, " → ")
}

// A setting is a key of a recipe with its value. Stage is -1 for keys of the whole
// recipe, and in recipes without stages.
type setting struct {
	stage int
	key   string
	value string
}

// settings lists the keys of a recipe that mean something and have a value.
func settings(r train.Recipe) []setting {
	whole, stages := reflect.ValueOf(r), []int{-1}
	if len(r.Stages) > 0 {
		stages = nil
		for i := range r.Stages {
			stages = append(stages, i)
		}
	}
	var all []setting
	for _, f := range train.Keys() {
		if len(f.Index) == 1 {
			all = add(all, -1, train.Key(f), whole.FieldByIndex(f.Index))
			continue
		}
		for _, i := range stages {
			stage := r.Stage
			if i >= 0 {
				stage = r.Stages[i]
			}
			if key := train.Key(f); !ofAdapter(key) || !stage.Full && !r.Pretraining() {
				all = add(all, i, key, reflect.ValueOf(stage).FieldByIndex(f.Index[1:]))
			}
		}
	}
	return all
}

// ofAdapter reports keys that mean nothing where all weights are trained.
func ofAdapter(key string) bool {
	return strings.HasPrefix(key, "lora_") || key == "use_rslora" || key == "loraplus_lr_ratio" || key == "previous_adapter"
}

func add(all []setting, stage int, key string, v reflect.Value) []setting {
	if text := text(v); text != "" {
		return append(all, setting{stage, key, text})
	}
	return all
}

// text writes a value of a recipe as on a command line.
func text(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, text(v.Index(i)))
		}
		return strings.Join(parts, ",")
	case reflect.Struct: // an entry of data: its path, and how much of it
		var parts []string
		for i, f := range reflect.VisibleFields(v.Type()) {
			switch field := v.Field(i); {
			case i == 0:
				parts = append(parts, text(field))
			case !field.IsZero():
				parts = append(parts, train.Key(f)+"="+text(field))
			}
		}
		return strings.Join(parts, " ")
	}
	return ""
}

// readStudy reads result.json of a study.
func readStudy(path string) (study.Result, error) {
	id := filepath.Base(path)
	s, err := study.ReadResult(filepath.Dir(filepath.Dir(path)), id)
	if err != nil {
		return study.Result{ID: id}, err
	}
	return s, nil
}
