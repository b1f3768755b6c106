package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gotune/data"
	"gotune/model"
	"gotune/model/base"
	"gotune/schedule"
	"gotune/tokenizer"
)

// BaseName is the name of the embedded base in the key model.
const BaseName = "base"

// OpenModel returns the folder of a model: the embedded base, or one on the disk.
func OpenModel(name string) (fs.FS, error) {
	if name == BaseName {
		return base.FS()
	}
	if info, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("model: %s is no folder; name the folder that holds config.json, model.safetensors and tokenizer.json", name)
	}
	return os.DirFS(name), nil
}

// inputs is everything a run reads but weights, checked before a run folder is
// made.
type inputs struct {
	source    fs.FS // of the model; nil if it is made anew
	config    model.Config
	tokenizer *tokenizer.Tokenizer
	data      *data.Dataset
	eval      *data.Dataset // nil without
	retain    *data.Dataset // nil without
	batches   *data.Batches
	schedule  *schedule.Schedule
	steps     int // of the whole run
}

// read reads and checks the inputs of a recipe.
func read(ctx context.Context, r Recipe) (*inputs, error) {
	if err := r.Validate(); err != nil {
		return nil, usage{err}
	}
	in := &inputs{}
	if err := in.openModel(ctx, r); err != nil {
		return nil, err
	}
	length := in.config.MaxPositions
	if r.MaxLength > length {
		return nil, usagef("max_length is %d, but the model has positions for %d tokens (max_position_embeddings)", r.MaxLength, length)
	}
	length = min(length, 1024)
	if r.MaxLength > 0 {
		length = r.MaxLength
	}
	open := func(what string, paths []string, columns string, learnPrompt bool) (*data.Dataset, error) {
		if len(paths) == 0 {
			return nil, nil
		}
		c, err := data.ParseColumns(columns)
		if err != nil {
			return nil, fmt.Errorf("columns: %w", err)
		}
		d, err := data.Open(ctx, data.Config{Paths: paths, Columns: c, MaxLength: length, LearnPrompt: learnPrompt, Tokenizer: in.tokenizer})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return d, nil
	}
	learnPrompt := objectives[r.Objective].learnPrompt
	var err error
	if in.data, err = open("data", r.Data, r.Columns, learnPrompt); err != nil {
		return nil, err
	}
	if in.eval, err = open("eval_data", r.EvalData, r.evalColumns(), learnPrompt); err != nil {
		return nil, err
	}
	if in.retain, err = open("retain_data", r.RetainData, "", true); err != nil {
		return nil, err
	}
	if in.batches, err = in.data.Batches(data.BatchConfig{
		BatchSize: r.BatchSize, AccumulationSteps: r.GradientAccumulationSteps, Packing: r.Packing, Shuffle: r.Shuffle, Seed: r.Seed,
	}); err != nil {
		return nil, err
	}
	in.steps = r.MaxSteps
	if in.steps == 0 {
		in.steps = max(1, int(math.Ceil(r.Epochs*float64(in.batches.Steps()))))
	}
	if in.schedule, err = r.schedule(in.steps); err != nil {
		return nil, usage{err}
	}
	return in, nil
}

// evalColumns are the columns of the evaluation data: those of the data, unless
// it comes from the toy world.
func (r Recipe) evalColumns() string {
	if slices.ContainsFunc(r.EvalData, func(path string) bool { return strings.HasPrefix(path, "world:") }) {
		return ""
	}
	return r.Columns
}

func (in *inputs) openModel(ctx context.Context, r Recipe) error {
	if r.Pretraining() {
		return in.newModel(ctx, r)
	}
	var err error
	if in.source, err = OpenModel(r.Model); err != nil {
		return err
	}
	if in.config, err = model.LoadConfig(in.source, r.Model); err != nil {
		return err
	}
	if in.tokenizer, err = tokenizer.Load(in.source, r.Model); err != nil {
		return err
	}
	return fits(in.config, in.tokenizer)
}

// newModel finds shape and tokenizer of a model that is made anew.
func (in *inputs) newModel(ctx context.Context, r Recipe) error {
	var err error
	if in.config, err = ReadShape(r.Shape); err != nil {
		return err
	}
	if r.Tokenizer != "" {
		in.tokenizer, err = tokenizer.LoadFile(r.Tokenizer)
	} else {
		in.tokenizer, err = trainTokenizer(ctx, r, in.config.VocabSize)
	}
	if err != nil {
		return err
	}
	in.config = WithTokenizer(in.config, in.tokenizer)
	return fits(in.config, in.tokenizer)
}

// trainTokenizer makes a tokenizer of the data's texts.
func trainTokenizer(ctx context.Context, r Recipe, size int) (*tokenizer.Tokenizer, error) {
	columns, err := data.ParseColumns(r.Columns)
	if err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	c := tokenizer.TrainConfig{VocabSize: size, SpecialTokens: r.SpecialTokens}
	for _, s := range r.SpecialTokens {
		if s == "<|pad|>" {
			c.Pad = s
		}
	}
	if len(r.SpecialTokens) > 0 {
		c.EOS = r.SpecialTokens[0]
	}
	var broken error
	t, err := tokenizer.Train(ctx, func(yield func(string) bool) {
		stop := errors.New("enough")
		err := data.Texts(ctx, r.Data, columns, func(text string) error {
			if !yield(text) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			broken = err
		}
	}, c)
	if broken != nil {
		return nil, fmt.Errorf("data: %w", broken)
	}
	return t, err
}

// ReadShape returns a named shape, or that of a config.json.
func ReadShape(name string) (model.Config, error) {
	if filepath.Ext(name) != ".json" {
		return model.Shape(name)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return model.Config{}, fmt.Errorf("shape: %w", err)
	}
	c, err := model.ParseConfig(raw)
	if err != nil {
		return c, fmt.Errorf("shape %s: %w", name, err)
	}
	return c, nil
}

// WithTokenizer writes the ids of a tokenizer's special tokens into a config.
func WithTokenizer(c model.Config, t *tokenizer.Tokenizer) model.Config {
	c.BOS, c.EOS, c.Pad = nil, nil, nil
	if id, ok := t.BOS(); ok {
		c.BOS = new(int)
		*c.BOS = int(id)
	}
	if id, ok := t.EOS(); ok {
		c.EOS = append(c.EOS, int(id))
	}
	if id, ok := t.Pad(); ok {
		c.Pad = new(int)
		*c.Pad = int(id)
	}
	return c
}

// fits checks that the model has a row for each token.
func fits(c model.Config, t *tokenizer.Tokenizer) error {
	if t.VocabSize() > c.VocabSize {
		return fmt.Errorf("the tokenizer has %d tokens but the model's vocabulary only %d (vocab_size)", t.VocabSize(), c.VocabSize)
	}
	return nil
}

// modelHash is the SHA-256 of what a run starts from: config.json, the weights
// and, if one is continued, the adapter.
func (in *inputs) modelHash(r Recipe) (string, error) {
	h := sha256.New()
	raw, err := in.config.JSON()
	if err != nil {
		return "", err
	}
	h.Write(raw)
	if in.source != nil {
		if err := hashFile(h, in.source, "model.safetensors"); err != nil {
			return "", err
		}
	}
	if r.Adapter != "" {
		for _, name := range []string{"adapter_config.json", "adapter_model.safetensors"} {
			if err := hashFile(h, os.DirFS(r.Adapter), name); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(h io.Writer, src fs.FS, name string) error {
	f, err := src.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(h, f)
	return errors.Join(err, f.Close())
}
