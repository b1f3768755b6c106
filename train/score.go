package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"gotune/internal/disk"
	"io/fs"
	"os"
)

// evaluate scores the held-out data and tells the observer.
func (j *job) evaluate(ctx context.Context, when string, step int, whole bool) (EvalEvent, error) {
	e := EvalEvent{Event: "eval", When: when, Stage: j.stage.recipe.Name, Step: step}
	if j.eval != nil {
		var err error
		if e.Scores, err = j.evaluator.Score(ctx, j.eval); err != nil {
			return e, fmt.Errorf("after step %d: %w", step, err)
		}
		if n := j.recipe.EvalGenerate; n > 0 {
			if err := j.generated(ctx, n, &e); err != nil {
				return e, err
			}
		}
		if whole {
			if e.Answers, err = Answers(ctx, j.model, j.stepper.options.Project, j.team, j.tokenizer, j.eval, sampleAnswers); err != nil {
				return e, err
			}
		}
	}
	if whole && j.retain != nil {
		s, err := j.evaluator.Score(ctx, j.retain)
		if err != nil {
			return e, fmt.Errorf("after step %d: retain_data: %w", step, err)
		}
		e.RetainLoss = s.Loss
	}
	if j.eval == nil && j.retain == nil {
		return e, nil
	}
	if err := errors.Join(j.metrics.evaluated(e), j.board.evaluated(e)); err != nil {
		return e, err
	}
	j.observer.Evaluated(e)
	return e, nil
}

// generated scores answers that the model generates, and keeps a few of them.
func (j *job) generated(ctx context.Context, n int, e *EvalEvent) error {
	answers, err := Answers(ctx, j.model, j.stepper.options.Project, j.team, j.tokenizer, j.eval, n)
	if err != nil {
		return err
	}
	right := 0
	for _, a := range answers {
		if a.Got == a.Want {
			right++
		}
	}
	e.GeneratedMatch = ratio(float64(right), len(answers))
	e.Answers = answers[:min(len(answers), 2)]
	return nil
}

// sampleAnswers is the number of questions that are shown answered.
const sampleAnswers = 8

// evaluateBefore evaluates the untrained model, or takes what the run wrote when
// it began.
func (j *job) evaluateBefore(ctx context.Context) error {
	if !j.recipe.Eval || j.before != nil {
		return nil
	}
	if j.begun+j.first > 0 {
		return j.folder.readEvaluation(beforeName, &j.before)
	}
	e, err := j.evaluate(ctx, "before", 0, true)
	if err != nil {
		return err
	}
	j.before = &e
	return disk.WriteJSON(j.folder.join(beforeName), e)
}

// readEvaluation reads an evaluation that the run wrote. It stays nil where the
// run was not evaluated.
func (f *folder) readEvaluation(name string, e **EvalEvent) error {
	raw, err := os.ReadFile(f.join(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, e)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", f.join(name), err)
	}
	return nil
}
