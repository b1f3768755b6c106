package study

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gotune/data"
	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/internal/kernel"
	"gotune/model"
	"gotune/tokenizer"
	"gotune/train"
)

// tuned is a model with its adapter, as a run leaves it or begins with it.
type tuned struct {
	from      train.RunResult
	recipe    train.Recipe // of the run
	model     *model.Model
	tokenizer *tokenizer.Tokenizer
	adapter   train.Adapter // nil without
	project   model.ProjectFunc
}

// openTuned loads a model. The recipe is that of the run whose it is.
func openTuned(ctx context.Context, from train.RunResult, r train.Recipe) (*tuned, error) {
	base, err := model.ParseBase(from.BasePrecision)
	if err != nil {
		return nil, err
	}
	src, err := train.OpenModel(from.Model)
	if err != nil {
		return nil, err
	}
	t := &tuned{from: from, recipe: r}
	if t.model, err = model.LoadFrozen(ctx, src, from.Model, base); err != nil {
		return nil, err
	}
	if t.model.Arithmetic, err = kernel.ParseArithmetic(from.Precision); err != nil {
		return nil, err
	}
	if t.tokenizer, err = tokenizer.Load(src, from.Model); err != nil {
		return nil, err
	}
	if from.Adapter == "" {
		return t, nil
	}
	if t.adapter, err = train.LoadAdapter(os.DirFS(from.Adapter), from.Adapter, t.model); err != nil {
		return nil, err
	}
	t.project = t.adapter.Project
	return t, nil
}

func (t *tuned) close() error { return t.model.Close() }

// open reads data as the run would that the model is of.
func (t *tuned) open(ctx context.Context, m MetricSpec, paths []string) (*data.Dataset, error) {
	corpora, err := train.Paths(paths...).Corpora(m.Columns, m.Format, train.Objective{LearnPrompt: m.AllTokens})
	if err != nil {
		return nil, err
	}
	template, err := data.OpenTemplate(t.from.Template, t.tokenizer)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	if !t.recipe.SplitSpecialTokens {
		template = template.WithControl()
	}
	virtual := 0
	if t.adapter != nil {
		virtual = t.adapter.Virtual()
	}
	return data.Open(ctx, data.Config{Corpora: corpora, HeldOut: true, Allow: data.FindingNames(), EncoderConfig: data.EncoderConfig{
		Tokenizer: t.tokenizer, Template: template, MaxLength: min(t.model.Config.MaxPositions, 1024), Virtual: virtual,
	}})
}

// answers lets the model answer questions.
func (t *tuned) answers(ctx context.Context, d *data.Dataset, n int) ([]train.Answer, error) {
	team := model.NewTeam(1)
	defer team.Close()
	return train.Answers(ctx, t.model, t.project, team, t.tokenizer, d, n)
}

// weights returns the values of all weights, the adapter's update included.
func (t *tuned) weights() (map[string][]float32, error) {
	m := t.model.Thawed()
	if t.adapter != nil {
		var err error
		if m, err = t.adapter.Merge(t.model); err != nil {
			return nil, err
		}
	}
	all := make(map[string][]float32)
	for name, w := range m.Weights {
		all[name] = w.Data
	}
	return all, nil
}

// mergedName is the folder inside a run folder of the model with the run's adapter in
// its weights.
const mergedName = "merged"

// merge writes the model of a run with its adapter in its weights, unless it is there.
func merge(ctx context.Context, run string, from train.RunResult, r train.Recipe) (string, error) {
	dir := filepath.Join(run, mergedName)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	t, err := openTuned(ctx, from, r)
	if err != nil {
		return "", err
	}
	defer t.close()
	merged, err := t.adapter.Merge(t.model)
	if err != nil {
		return "", err
	}
	return dir, disk.WriteFolder(dir, func(dir string) error {
		if err := merged.Save(dir, hf.F32); err != nil {
			return err
		}
		if err := t.tokenizer.Save(dir); err != nil || from.Template == "" {
			return err
		}
		template, err := os.ReadFile(from.Template)
		if err != nil {
			return err
		}
		return disk.WriteBytes(filepath.Join(dir, filepath.Base(from.Template)), template)
	})
}
