package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gotune/data"
	"gotune/internal/hf"
	"gotune/model"
	"gotune/model/base"
	"gotune/tokenizer"
)

// BaseName is the name of the embedded base in the key model.
const BaseName = "base"

// Embedded reports whether a name is that of an embedded model, of which there are
// base and base-b.
func Embedded(name string) bool { return slices.Contains(base.Names(), name) }

// OpenModel returns the folder of a model: an embedded base, or one on the disk.
func OpenModel(name string) (fs.FS, error) {
	if Embedded(name) {
		return base.Open(name)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("model: there is no folder %s; models are not downloaded: name a folder that holds %s, or %s", name, hf.ModelFiles, strings.Join(base.Names(), " or "))
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

// OpenTokenizer returns the tokenizer of an embedded base, or one on the disk: the
// folder that holds it, a tokenizer.json or a tokenizer.model.
func OpenTokenizer(name string) (*tokenizer.Tokenizer, error) {
	if !Embedded(name) {
		return tokenizer.LoadFile(name)
	}
	src, err := base.Open(name)
	if err != nil {
		return nil, err
	}
	return tokenizer.Load(src, name)
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
		in.tokenizer, err = OpenTokenizer(r.Tokenizer)
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
// and, if they are continued, the adapter and the optimizer.
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
	if r.keepsOptimizer(0) {
		dir, err := r.previousCheckpoint()
		if err != nil {
			return "", err
		}
		if err := hashFile(h, os.DirFS(dir), optimizerName); err != nil {
			return "", err
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
