package train

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"gotune/data"
	"gotune/data/chat"
	"gotune/internal/rng"
	"gotune/model"
	"gotune/schedule"
	"gotune/tokenizer"
)

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
	r, err := r.withAdapter() // which says how many virtual tokens there are
	if err != nil {
		return err
	}
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
	length := r.MaxLength
	if length == 0 {
		length = min(in.config.MaxPositions, 1024)
	}
	if v := r.virtual(); v > 0 && length < v+3 {
		return 0, usagef("num_virtual_tokens is %d, and a row has room for %d tokens (max_length, or the model's positions), which virtual ones count among: at least 3 more are needed", v, length)
	}
	return length, nil
}

func (in *inputs) encoder(length, virtual int) data.EncoderConfig {
	return data.EncoderConfig{Tokenizer: in.tokenizer, Template: in.template, MaxLength: length, Virtual: virtual}
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
	encoder := in.encoder(s.length, r.virtual())
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
	return s.recipe.on(s.schedule, n)
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
		d, err := data.Open(ctx, data.Config{Corpora: corpora, HeldOut: true, Allow: r.Allow, EncoderConfig: in.encoder(length, in.stages[0].recipe.virtual())})
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
