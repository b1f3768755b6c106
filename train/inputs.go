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
	"strconv"

	"gotune/data"
	"gotune/data/chat"
	"gotune/internal/hf"
	"gotune/internal/rng"
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
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("model: there is no folder %s; models are not downloaded: name a folder that holds %s, or %s", name, hf.ModelFiles, BaseName)
	case err != nil:
		return nil, fmt.Errorf("model: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("model: %s is no folder; name the folder that holds %s", name, hf.ModelFiles)
	}
	has := func(file string) bool {
		_, err := os.Stat(filepath.Join(name, file))
		return err == nil
	}
	switch {
	case has("config.json"):
	case has("adapter_config.json"):
		return nil, fmt.Errorf("model: %s is an adapter: name it as the adapter, and the model that it is for as the model", name)
	case has(recipeName) && has(modelName):
		return nil, fmt.Errorf("model: %s is a run folder: its model is %s", name, filepath.Join(name, modelName))
	case has(recipeName) && has(adapterName):
		return nil, fmt.Errorf("model: %s is a run folder, and of a run by LoRA: its adapter is %s", name, filepath.Join(name, adapterName))
	}
	return os.DirFS(name), nil
}

// inputs is everything a run reads but weights, checked before a run folder is
// made.
type inputs struct {
	source    fs.FS // of the model; nil if it is made anew
	config    model.Config
	tokenizer *tokenizer.Tokenizer
	template  *chat.Template
	stages    []*stage
	eval      *data.Dataset // nil without
	retain    *data.Dataset // nil without
	steps     int           // of the whole run
	overlaps  []data.Finding
	resident  int64 // memory after all was read
}

// A stage is what a stage of the recipe trains on.
type stage struct {
	recipe   Recipe // of this stage alone
	index    int
	length   int // of the longest row
	feed     feed
	schedule *schedule.Schedule
	planned  int // steps of the stages before, if none stops early
	steps    int
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
	return in, in.read(ctx, r)
}

// read reads and checks the data.
func (in *inputs) read(ctx context.Context, r Recipe) error {
	var err error
	if in.template, err = data.OpenTemplate(r.chatTemplate(), in.tokenizer); err != nil {
		return fmt.Errorf("chat_template: %w", err)
	}
	if !r.SplitSpecialTokens {
		in.template = in.template.WithControl()
	}
	for i, one := range r.plan() {
		s := &stage{recipe: one, index: i, planned: in.steps}
		if s.length, err = in.length(one); err != nil {
			return err
		}
		if err := in.openStage(ctx, s); err != nil {
			return err
		}
		in.stages = append(in.stages, s)
		in.steps += s.steps
	}
	for _, s := range in.stages {
		steps := s.steps
		if r.ScheduleSpan == "run" {
			steps = in.steps
		}
		if s.schedule, err = s.recipe.schedule(steps, s.feed.epoch()); err != nil {
			return usage{err}
		}
	}
	if err := in.checkTrained(r); err != nil {
		return err
	}
	if err := in.openHeldOut(ctx, r); err != nil {
		return err
	}
	in.resident = resident()
	return nil
}

// length returns the largest number of tokens of a row.
func (in *inputs) length(r Recipe) (int, error) {
	if r.MaxLength > in.config.MaxPositions {
		return 0, usagef("max_length is %d, but the model has positions for %d tokens (max_position_embeddings, or n_positions)", r.MaxLength, in.config.MaxPositions)
	}
	if r.MaxLength > 0 {
		return r.MaxLength, nil
	}
	return min(in.config.MaxPositions, 1024), nil
}

func (in *inputs) encoder(length int) data.EncoderConfig {
	return data.EncoderConfig{Tokenizer: in.tokenizer, Template: in.template, MaxLength: length}
}

// openStage reads the data of a stage and counts its steps.
func (in *inputs) openStage(ctx context.Context, s *stage) error {
	r := s.recipe
	corpora, err := r.corpora()
	if err != nil {
		return err
	}
	if r.Replay > 0 {
		if len(in.stages) == 0 {
			return usagef("replay mixes in the data of earlier stages, and there is none before the first")
		}
		for _, before := range in.stages {
			old, err := before.recipe.corpora()
			if err != nil {
				return err
			}
			for _, c := range old {
				c.Rows, c.Repeat, c.Weight, c.Replay = 0, 0, 0, r.Replay
				corpora = append(corpora, c)
			}
		}
	}
	encoder := in.encoder(s.length)
	encoder.LastTurn = r.MaskHistory
	seed := s.seed()
	layout := data.BatchConfig{
		BatchSize: r.BatchSize, AccumulationSteps: r.GradientAccumulationSteps, Packing: r.Packing, Shuffle: r.Shuffle, Seed: seed,
	}
	if r.Streaming {
		s.feed, err = openStreamed(ctx, data.StreamConfig{
			Corpora: corpora, EncoderConfig: encoder, BatchConfig: layout, Buffer: r.ShuffleBuffer, Allow: r.Allow,
		})
	} else {
		s.feed, err = openInMemory(ctx, data.Config{Corpora: corpora, Seed: seed, EncoderConfig: encoder, Allow: r.Allow}, layout)
	}
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	s.steps = r.MaxSteps
	if s.steps == 0 {
		s.steps = max(1, wholeSteps(r.Epochs*float64(s.feed.epoch())))
	}
	return nil
}

// chatTemplate is the template asked for, else that of the adapter which is gone on
// with, else none, which is the model's own.
func (r Recipe) chatTemplate() string {
	if r.ChatTemplate != "" || r.Adapter == "" {
		return r.ChatTemplate
	}
	path := filepath.Join(r.Adapter, templateName)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// wholeSteps rounds up, but for what is above a whole number by rounding alone.
func wholeSteps(x float64) int {
	if near := math.Round(x); math.Abs(x-near) <= 1e-9*x {
		return int(near)
	}
	return int(math.Ceil(x))
}

// seed names the random numbers of a stage.
func (s *stage) seed() uint64 {
	if s.index == 0 {
		return s.recipe.Seed
	}
	return rng.Key(s.recipe.Seed, "stage", strconv.Itoa(s.index))
}

// rate returns the learning rate of a step of the stage.
func (s *stage) rate(n int) float64 {
	if s.recipe.ScheduleSpan == "run" {
		n += s.planned
	}
	return s.schedule.Rate(n)
}

// openHeldOut reads the data that is evaluated. Prompts count only where every
// stage learns them; what an objective weighs does not, so that losses of different
// objectives can be compared.
func (in *inputs) openHeldOut(ctx context.Context, r Recipe) error {
	learnPrompt, length := true, 0
	for _, s := range in.stages {
		o, err := ObjectiveNamed(s.recipe.Objective)
		if err != nil {
			return err
		}
		learnPrompt = learnPrompt && o.LearnPrompt
		length = max(length, s.length)
	}
	open := func(key string, list Datasets, learnPrompt bool) (*data.Dataset, error) {
		if len(list) == 0 {
			return nil, nil
		}
		corpora, err := list.Corpora(r.Columns, r.DataFormat, Objective{LearnPrompt: learnPrompt})
		if err != nil {
			return nil, err
		}
		d, err := data.Open(ctx, data.Config{Corpora: corpora, HeldOut: true, Allow: r.Allow, EncoderConfig: in.encoder(length)})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return d, nil
	}
	var err error
	if in.eval, err = open("eval_data", r.EvalData, learnPrompt); err != nil {
		return err
	}
	in.retain, err = open("retain_data", r.RetainData, true)
	return err
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
	corpora, err := r.Data.Corpora(r.Columns, r.DataFormat, Objective{LearnPrompt: true})
	if err != nil {
		return nil, err
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
		err := data.Texts(ctx, corpora, func(text string) error {
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

// ReadShape returns a named shape, or that of a config.json. A name that there is not
// is an ErrUsage.
func ReadShape(name string) (model.Config, error) {
	if filepath.Ext(name) != ".json" {
		c, err := model.Shape(name)
		if err != nil {
			return c, usage{err}
		}
		return c, nil
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
		files, err := hf.WeightFiles(in.source)
		if err != nil {
			return "", err
		}
		for _, name := range files {
			if err := hashFile(h, in.source, name); err != nil {
				return "", err
			}
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
