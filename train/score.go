package train

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
)

// evaluate scores the held-out data and tells the observer.
func (j *job) evaluate(ctx context.Context, when string, step int, whole bool) (EvalEvent, error) {
	e := EvalEvent{Event: "eval", When: when, Step: step}
	if j.eval != nil {
		var err error
		if e.Scores, err = j.evaluator.Score(ctx, j.eval); err != nil {
			return e, err
		}
		if whole {
			if e.Answers, err = Answers(ctx, j.model, j.stepper.project, j.team, j.tokenizer, j.eval, sampleAnswers); err != nil {
				return e, err
			}
		}
	}
	if whole && j.retain != nil {
		s, err := j.evaluator.Score(ctx, j.retain)
		if err != nil {
			return e, err
		}
		e.RetainLoss = s.Loss
	}
	if j.eval == nil && j.retain == nil {
		return e, nil
	}
	if err := j.metrics.evaluated(e); err != nil {
		return e, err
	}
	j.observer.Evaluated(e)
	return e, nil
}

// sampleAnswers is the number of questions that are shown answered.
const sampleAnswers = 8

// evaluateBefore evaluates the untrained model, or takes what the run wrote when
// it began.
func (j *job) evaluateBefore(ctx context.Context) error {
	if !j.recipe.Eval {
		return nil
	}
	path := j.folder.join(beforeName)
	raw, err := os.ReadFile(path)
	if err == nil && j.first > 0 {
		j.before = new(EvalEvent)
		return json.Unmarshal(raw, j.before)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if j.first > 0 {
		return nil // evaluation was not on when the run began
	}
	e, err := j.evaluate(ctx, "before", 0, true)
	if err != nil {
		return err
	}
	j.before = &e
	return writeJSON(path, e)
}
