package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"gotune/data"
	"gotune/lora"
	"gotune/lora/prompt"
	"gotune/model"
	"gotune/tokenizer"
)

// An Adapter is what is trained beside the frozen weights of a model: a [lora.Adapter] or a
// [prompt.Adapter].
type Adapter interface {
	// Project is the hook that puts the adapter into a model's graphs.
	Project(b *model.Builder, module string, x *gorgonia.Node) *gorgonia.Node
	// Virtual is the number of tokens that stand before each text.
	Virtual() int
	// Parameters are what is trained, and Whole the names of those that are weights of the
	// model itself.
	Parameters() []model.Parameter
	Whole() []string
	// Describe says in a line what of it is trained: these parameters.
	Describe(trained []model.Parameter) string
	// Save writes PEFT's files to a folder, with the name of the base. Checkpoint writes what
	// Restore needs too.
	Save(dir, base string) error
	Checkpoint(dir, base string) error
	Restore(src fs.FS, name string) error
	// Merge writes the adapter into a copy of the model's weights, where that can be.
	Merge(m *model.Model) (*model.Model, error)
	// Release gives the model back what the adapter changed of it.
	Release()
}

// loraType is the peft_type of package lora.
const loraType = "LORA"

// PEFTTypes are the kinds of adapters, as peft_type has them.
func PEFTTypes() []string { return []string{loraType, prompt.PromptTuning, prompt.PrefixTuning} }

// LoadAdapter reads an adapter in PEFT's files, of the kind that they say, for a model. The
// name is for messages.
func LoadAdapter(src fs.FS, name string, m *model.Model) (Adapter, error) {
	virtual, err := isVirtual(src, name)
	switch {
	case err != nil:
		return nil, err
	case virtual:
		return orNone(prompt.Load(src, name, m))
	}
	return orNone(lora.Load(src, name, m))
}

// orNone makes an interface of a pointer, nil where there is an error.
func orNone[A Adapter](ad A, err error) (Adapter, error) {
	if err != nil {
		return nil, err
	}
	return ad, nil
}

// IsVirtual reports whether a folder holds an adapter of virtual tokens.
func IsVirtual(src fs.FS) bool {
	is, err := isVirtual(src, "")
	return err == nil && is
}

// isVirtual reports whether an adapter is of virtual tokens; one that is neither that nor
// LoRA is an error.
func isVirtual(src fs.FS, name string) (bool, error) {
	kind, err := prompt.Type(src, name)
	if _, in := fs.Stat(src, adapterName+"/adapter_config.json"); in == nil && errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("adapter: %s is a run folder: its adapter is %s", name, filepath.Join(name, adapterName))
	}
	if err == nil && kind != "" && !slices.Contains(PEFTTypes(), kind) {
		err = fmt.Errorf("adapter %s: adapter_config.json: key \"peft_type\": it is %q, which is not supported (supported: %s)", name, kind, strings.Join(PEFTTypes(), ", "))
	}
	return kind == prompt.PromptTuning || kind == prompt.PrefixTuning, err
}

// virtual is the number of virtual tokens before each text of the stage.
func (r Recipe) virtual() int {
	if r.Full || r.Pretraining() || r.PEFTType == loraType {
		return 0
	}
	return r.NumVirtualTokens
}

// prompt is the configuration of virtual tokens; with a tokenizer it has the tokens of the
// text that they begin from.
func (s Stage) prompt(tok *tokenizer.Tokenizer) prompt.Config {
	c := prompt.Config{
		Type: s.PEFTType, VirtualTokens: s.NumVirtualTokens, Init: s.PromptTuningInit, InitText: s.PromptTuningText,
		Projection: s.PrefixProjection, EncoderHiddenSize: s.EncoderHiddenSize,
	}
	if tok != nil && c.Init == prompt.Text {
		c.InitIDs = data.EncodePrompt(tok, c.InitText)
	}
	return c
}

// newAdapter makes the adapter that a stage begins with where there is none to go on with.
func (j *job) newAdapter(r Recipe) (Adapter, error) {
	if r.PEFTType != loraType {
		return orNone(prompt.New(r.prompt(j.tokenizer), j.model, j.stage.seed()))
	}
	return orNone(lora.New(r.loraFor(j.model), j.model, j.stage.seed()))
}

// outlineAdapter is the adapter that a stage trains, its own or one that is gone on with,
// without values, nil where it trains weights. The keys of virtual tokens that are gone on with
// are those of the recipe; see withAdapter.
func (r Recipe) outlineAdapter(m *model.Model) (Adapter, error) {
	switch {
	case r.Full || r.Pretraining():
		return nil, nil
	case r.PEFTType != loraType:
		return orNone(prompt.Outline(r.prompt(nil), m))
	}
	c := r.loraFor(m)
	if r.Adapter != "" {
		var err error
		if c, err = lora.ReadConfig(os.DirFS(r.Adapter), r.Adapter); err != nil {
			return nil, err
		}
	}
	return orNone(lora.Outline(c, m))
}

// withAdapter puts the values of an adapter that is continued in place of those of
// the stages that keep it, so that the resolved recipe says what is trained.
func (r Recipe) withAdapter() (Recipe, error) {
	if r.Adapter == "" {
		return r, nil
	}
	put, err := adapterKeys(r.Adapter)
	if err != nil {
		return r, err
	}
	put(&r.Stage)
	r.Stages = slices.Clone(r.Stages)
	for i := range r.Stages {
		if i > 0 && (r.Stages[i].PreviousAdapter != "keep" || r.Stages[i].Full) {
			break
		}
		put(&r.Stages[i])
	}
	return r, r.checkVirtual()
}

// adapterKeys returns what puts the values of an adapter's folder into a stage.
func adapterKeys(dir string) (put func(*Stage), err error) {
	src := os.DirFS(dir)
	virtual, err := isVirtual(src, dir)
	if err != nil {
		return nil, err
	}
	own := DefaultRecipe().Stage // of the keys of adapters
	if virtual {
		c, err := prompt.ReadConfig(src, dir)
		if err != nil {
			return nil, err
		}
		// How they began is past, and a projection is not saved.
		own.PEFTType, own.NumVirtualTokens = c.Type, c.VirtualTokens
	} else if own.LoRA, err = lora.ReadConfig(src, dir); err != nil {
		return nil, err
	}
	return func(s *Stage) {
		s.PEFTType, s.LoRA, s.NumVirtualTokens, s.PromptTuningInit, s.PromptTuningText = own.PEFTType, own.LoRA, own.NumVirtualTokens, own.PromptTuningInit, own.PromptTuningText
		s.PrefixProjection, s.EncoderHiddenSize = own.PrefixProjection, own.EncoderHiddenSize
	}, nil
}

// checkAdapter checks what a stage says of the adapter that it makes.
func (r Recipe) checkAdapter() error {
	plain := DefaultRecipe()
	for _, f := range Keys() {
		kinds := PEFTTypesOf(f)
		if kinds != nil && !slices.Contains(kinds, r.PEFTType) && differs(f, r, plain) {
			is := reflect.ValueOf(r).FieldByIndex(f.Index)
			return fmt.Errorf("%s is %v, but has no meaning with peft_type %s: it belongs to %s", Key(f), is, r.PEFTType, strings.Join(kinds, " and "))
		}
	}
	switch {
	case r.PEFTType == loraType:
		return r.LoRA.Validate()
	case r.LastLayers > 0:
		return fmt.Errorf("last_layers is %d, but %s learns nothing in layers: leave it out", r.LastLayers, r.PEFTType)
	case r.LayerDecay > 0:
		return fmt.Errorf("layer_decay is %g, but %s learns nothing in layers: leave it out", r.LayerDecay, r.PEFTType)
	case r.EncoderHiddenSize > 0 && !r.PrefixProjection:
		return fmt.Errorf("encoder_hidden_size is %d, but there is no prefix_projection that it is the width of", r.EncoderHiddenSize)
	case r.PromptTuningText != "" && r.PromptTuningInit != prompt.Text:
		return fmt.Errorf("prompt_tuning_init_text is given, but prompt_tuning_init is %s: set it to %s", r.PromptTuningInit, prompt.Text)
	}
	return r.prompt(nil).Validate()
}

// PEFTTypesOf lists the kinds of adapters that a key belongs to, by the tag peft; nil where
// it is no key of adapters.
func PEFTTypesOf(f reflect.StructField) []string {
	if reflect.TypeFor[Recipe]().FieldByIndex(f.Index[:len(f.Index)-1]).Type == reflect.TypeFor[lora.Config]() {
		return []string{loraType}
	}
	if kinds := f.Tag.Get("peft"); kinds != "" {
		return strings.Split(kinds, ",")
	}
	return nil
}

// checkVirtual checks that all stages have as many virtual tokens, since they share their
// held-out rows, and that none needs what the one before cannot leave.
func (r Recipe) checkVirtual() error {
	plan := r.plan()
	for i := 1; i < len(plan); i++ {
		before, s := plan[i-1], plan[i]
		if before.virtual() != s.virtual() {
			return usagef("stages[%d] (%s) has %d virtual tokens and %s has %d: all stages of a recipe have as many; give what follows a recipe of its own", i, s.Name, s.virtual(), before.Name, before.virtual())
		}
		if s.virtual() == 0 || s.PreviousAdapter == "fresh" {
			continue
		}
		if s.PreviousAdapter == "merge" {
			return usagef("stages[%d] (%s): the virtual tokens of %s are no update of weights and cannot be merged: set previous_adapter to keep or fresh", i, s.Name, before.Name)
		}
		if before.PrefixProjection {
			return usagef("stages[%d] (%s) keeps the adapter of %s, whose prefix_projection is not saved: leave prefix_projection out, or set previous_adapter to fresh", i, s.Name, before.Name)
		}
		if a, b := before.prompt(nil), s.prompt(nil); !reflect.DeepEqual(a, b) {
			return usagef("stages[%d] (%s) keeps the virtual tokens of %s but describes others: give it the same peft_type and prompt_tuning_* keys, or set previous_adapter to fresh", i, s.Name, before.Name)
		}
	}
	return nil
}
