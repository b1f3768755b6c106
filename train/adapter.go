package train

import (
	"fmt"
	"io/fs"
	"os"

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
	Parameters() []model.Parameter
	// Save writes PEFT's files to a folder, with the name of the base.
	Save(dir, base string) error
	// Merge writes the adapter into a copy of the model's weights, where it can be.
	Merge(m *model.Model) (*model.Model, error)
	// Virtual is the number of tokens that stand before each text.
	Virtual() int
	Describe() string
}

// loraType is the peft_type of package lora.
const loraType = "LORA"

// LoadAdapter reads an adapter in PEFT's files, of either kind, for a model. The name is for
// messages.
func LoadAdapter(src fs.FS, name string, m *model.Model) (Adapter, error) {
	virtual, err := isPrompt(src, name)
	switch {
	case err != nil:
		return nil, err
	case virtual:
		// A nil pointer in an interface would not be nil.
		ad, err := prompt.Load(src, name, m)
		if err != nil {
			return nil, err
		}
		return ad, nil
	}
	ad, err := lora.Load(src, name, m)
	if err != nil {
		return nil, err
	}
	return ad, nil
}

// isPrompt reports whether an adapter is of virtual tokens. What it is else is for package
// lora to say.
func isPrompt(src fs.FS, name string) (bool, error) {
	kind, err := prompt.Type(src, name)
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

// checkAdapter checks what a stage says of an adapter that it makes.
func (r Recipe) checkAdapter() error {
	if r.PEFTType == loraType {
		return r.lora().Validate()
	}
	switch {
	case r.LastLayers > 0:
		return fmt.Errorf("last_layers is %d, but %s learns no layers: leave it out", r.LastLayers, r.PEFTType)
	case r.LayerDecay > 0:
		return fmt.Errorf("layer_decay has no effect on %s, which learns no layers: leave it out", r.PEFTType)
	}
	return r.prompt(nil).Validate()
}

// checkVirtual checks that all stages have as many virtual tokens, since they share their
// held-out rows, and that none needs what the one before cannot leave.
func (r Recipe) checkVirtual() error {
	plan := r.plan()
	for i := 1; i < len(plan); i++ {
		before, s := plan[i-1], plan[i]
		if before.virtual() != s.virtual() {
			return fmt.Errorf("stages[%d] (%s) has %d virtual tokens and %s has %d: all stages of a recipe have as many; give what follows a recipe of its own", i, s.Name, s.virtual(), before.Name, before.virtual())
		}
		if s.virtual() > 0 && s.PreviousAdapter == "keep" && before.PrefixProjection {
			return fmt.Errorf("stages[%d] (%s) keeps the adapter of %s, whose prefix_projection is not saved: leave prefix_projection out, or set previous_adapter to fresh", i, s.Name, before.Name)
		}
		if s.virtual() > 0 && s.PreviousAdapter == "merge" {
			return fmt.Errorf("stages[%d] (%s): the virtual tokens of %s are no update of weights and cannot be merged: set previous_adapter to keep or fresh", i, s.Name, before.Name)
		}
	}
	return nil
}

// newAdapter makes the adapter of a stage for a model, nil where it trains weights. Of a
// model without values the tokenizer is nil.
func (r Recipe) newAdapter(m *model.Model, seed uint64, tok *tokenizer.Tokenizer) (Adapter, error) {
	if r.Full || r.Pretraining() {
		return nil, nil
	}
	if r.PEFTType != loraType {
		c := r.prompt(tok)
		if tok == nil {
			c.Init, c.InitText = "", ""
		}
		return orNone(prompt.New(c, m, seed))
	}
	return orNone(lora.New(r.loraFor(m), m, seed))
}

// sketchAdapter is the adapter that a stage trains, its own or one that is gone on with, for
// a model without values. Virtual tokens that are gone on with are described by the recipe.
func (r Recipe) sketchAdapter(m *model.Model) (Adapter, error) {
	if r.Adapter == "" || r.Full || r.PEFTType != loraType {
		return r.newAdapter(m, r.Seed, nil)
	}
	c, err := lora.ReadConfig(os.DirFS(r.Adapter), r.Adapter)
	if err != nil {
		return nil, err
	}
	return orNone(lora.New(c, m, r.Seed))
}

// orNone makes an interface of a pointer, nil where there is an error.
func orNone[A interface {
	*lora.Adapter | *prompt.Adapter
	Adapter
}](ad A, err error) (Adapter, error) {
	if err != nil {
		return nil, err
	}
	return ad, nil
}
