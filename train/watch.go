package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/data"
	"gotune/internal/kernel"
)

// A watch looks at the norm of the gradients, step by step. It is part of the
// checkpoints.
type watch struct {
	Norms  []float64 `json:"norms,omitempty"`  // of the last steps that were no outliers
	Zeros  int       `json:"zeros,omitempty"`  // steps without a gradient, in a row
	Spikes int       `json:"spikes,omitempty"` // steps with a norm far above the others, in a row
}

const (
	watchWindow = 32  // steps whose median is what is usual
	watchSpike  = 100 // times the median is far above
	watchInARow = 3
)

var (
	errNothingLearned = errors.New("the gradients are 0 for three steps in a row: nothing is learned, because no target reaches what is trained, or because a weight is 0 on every way to it")
	errExplodes       = errors.New("the norm of the gradients explodes")
)

// look judges a step by the norm of its gradients before clipping. Clipping makes
// one spike harmless, so only several in a row stop a run.
func (w *watch) look(norm float64) error {
	if norm == 0 {
		if w.Zeros++; w.Zeros == watchInARow {
			return errNothingLearned
		}
		return nil
	}
	w.Zeros = 0
	if len(w.Norms) == watchWindow {
		sorted := slices.Sorted(slices.Values(w.Norms))
		if median := sorted[watchWindow/2]; norm > watchSpike*median {
			if w.Spikes++; w.Spikes == watchInARow {
				return fmt.Errorf("%w: it is %.3g and was %.3g (the median of %d steps before)", errExplodes, norm, median, watchWindow)
			}
			return nil
		}
		w.Norms = append(w.Norms[:0], w.Norms[1:]...)
	}
	w.Spikes = 0
	w.Norms = append(w.Norms, norm)
	return nil
}

// explain says what went wrong in a step, where, and what to do. A step with a
// loss or a norm that is no number has changed no value, so the state before it
// is saved.
func (j *job) explain(n int, s *data.Step, err error) error {
	text := fmt.Sprintf("step %d: %v", n+1, err)
	if place := j.loudest(); place != "" {
		text += "; " + place
	}
	text += "; the step's rows are" + rowsOf(s)
	switch {
	case errors.Is(err, errNothingLearned):
		return errors.New(text + ". Look at the data by gotune data, and at lora_targets and last_layers")
	case !errors.Is(err, errExplodes):
		j.stage.feed.back()
		if saved := j.saveCheckpoint(n); saved != nil {
			return errors.Join(divergence{errors.New(text)}, saved)
		}
		text += fmt.Sprintf("; the last good state is %s, before this step", j.folder.checkpoint(n))
	default:
		if steps, err := j.folder.checkpoints(); err == nil && len(steps) > 0 {
			text += fmt.Sprintf("; the last good state is %s", j.folder.checkpoint(steps[len(steps)-1]))
		}
	}
	return divergence{errors.New(text + ". Lower learning_rate, raise warmup_steps, or look at these rows")}
}

// loudest names the parameter with the largest gradient, or the first whose
// gradient is no number.
func (j *job) loudest() string {
	name, most := "", 0.0
	for _, p := range j.stepper.options.Parameters {
		norm := math.Sqrt(kernel.SumSquares(j.team, p.Grad))
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return fmt.Sprintf("the gradient of %s is no number", p.Name)
		}
		if norm > most {
			name, most = p.Name, norm
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("the largest gradient is that of %s (norm %.3g)", name, most)
}

// rowsOf names the first rows of a step.
func rowsOf(s *data.Step) string {
	var text strings.Builder
	path, n := "", 0
	for x := range s.Examples {
		n++
		switch {
		case n > 16:
		case x.At.Path != path:
			path = x.At.Path
			fmt.Fprintf(&text, " %s:%d", path, x.At.Line)
		default:
			fmt.Fprintf(&text, ",%d", x.At.Line)
		}
	}
	if n > 16 {
		fmt.Fprintf(&text, " and %d more", n-16)
	}
	return text.String()
}
