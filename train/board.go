package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gotune/internal/tensorboard"
)

// A board writes what metrics.jsonl holds as an event file of TensorBoard: step by
// step under train/, evaluations under eval/, the recipe and sample answers as
// texts. A nil board writes nothing.
type board struct {
	f      *os.File
	w      *tensorboard.Writer
	recipe string // how the file begins
}

// openBoard opens the event file of a run, or makes it with the recipe in it.
func openBoard(dir, recipe string) (*board, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, tensorboard.FileName), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	b := &board{f: f, w: tensorboard.NewWriter(f), recipe: recipe}
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		err = b.begin()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tensorboard: %w", err), f.Close())
	}
	return b, nil
}

func (b *board) begin() error {
	now := time.Now()
	if err := b.w.Version(now); err != nil {
		return err
	}
	return b.w.Text(now, 0, "recipe", "```yaml\n"+strings.TrimSpace(b.recipe)+"\n```")
}

func (b *board) step(e StepEvent) error {
	if b == nil {
		return nil
	}
	return b.w.Scalars(time.Now(), e.Step,
		tensorboard.Scalar{Tag: "train/loss", Value: e.Loss},
		tensorboard.Scalar{Tag: "train/grad_norm", Value: e.GradNorm},
		tensorboard.Scalar{Tag: "train/learning_rate", Value: e.LearningRate},
		tensorboard.Scalar{Tag: "train/target_tokens", Value: float64(e.TargetTokens)},
		tensorboard.Scalar{Tag: "train/tokens_per_second", Value: e.TokensPerSecond},
	)
}

func (b *board) evaluated(e EvalEvent) error {
	if b == nil {
		return nil
	}
	var scalars []tensorboard.Scalar
	for _, s := range []struct {
		tag   string
		value *float64
	}{
		{"eval/loss", e.Loss}, {"eval/log_probability", e.LogProbability},
		{"eval/exact_match", e.ExactMatch}, {"eval/exact_match_unseen_wording", e.UnseenWording},
		{"eval/generated_match", e.GeneratedMatch}, {"eval/retain_loss", e.RetainLoss},
	} {
		if s.value != nil {
			scalars = append(scalars, tensorboard.Scalar{Tag: s.tag, Value: *s.value})
		}
	}
	now := time.Now()
	if err := b.w.Scalars(now, e.Step, scalars...); err != nil || len(e.Answers) == 0 {
		return err
	}
	return b.w.Text(now, e.Step, "eval/answers", answersTable(e.Answers))
}

// answersTable writes answers as a table in Markdown.
func answersTable(answers []Answer) string {
	var t strings.Builder
	t.WriteString("| question | answer | wanted |\n|---|---|---|\n")
	cell := func(s string) string {
		return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
	}
	for _, a := range answers {
		fmt.Fprintf(&t, "| %s | %s | %s |\n", cell(a.Question), cell(a.Got), cell(a.Want))
	}
	return t.String()
}

// sync brings all events to the disk and returns their length in bytes.
func (b *board) sync() (int64, error) {
	if b == nil {
		return 0, nil
	}
	if err := b.f.Sync(); err != nil {
		return 0, fmt.Errorf("tensorboard: %w", err)
	}
	info, err := b.f.Stat()
	if err != nil {
		return 0, fmt.Errorf("tensorboard: %w", err)
	}
	return info.Size(), nil
}

// cut drops the events after a checkpoint. A file that is shorter, because it was
// taken away, begins anew: the numbers are in metrics.jsonl too.
func (b *board) cut(size int64) error {
	if b == nil {
		return nil
	}
	info, err := b.f.Stat()
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	whole := size > 0 && size <= info.Size()
	if !whole {
		size = 0
	}
	if err := b.f.Truncate(size); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	if whole {
		return nil
	}
	return b.begin()
}

func (b *board) close() error {
	if b == nil {
		return nil
	}
	return b.f.Close()
}

// openBoard opens the run's board, unless its recipe wants none.
func (j *job) openBoard() error {
	if j.recipe.ReportTo != "tensorboard" {
		return nil
	}
	recipe, err := os.ReadFile(j.folder.join(recipeName))
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	j.board, err = openBoard(j.folder.join(boardName), string(recipe))
	return err
}
