package main

import (
	"math"
	"os"
	"slices"

	"gotune/data/inspect"
	"gotune/lora/prompt"
)

// virtualDescription is a PEFT adapter of virtual tokens.
type virtualDescription struct {
	Kind          string        `json:"kind"` // adapter
	Path          string        `json:"path"`
	Base          string        `json:"base,omitempty"`
	PEFTType      string        `json:"peft_type"`
	VirtualTokens int           `json:"num_virtual_tokens"`
	Width         int           `json:"width"` // of an embedding, or of the keys of a layer
	Projection    bool          `json:"prefix_projection,omitempty"`
	Init          string        `json:"prompt_tuning_init,omitempty"`
	InitText      string        `json:"prompt_tuning_init_text,omitempty"`
	Parameters    int           `json:"parameters"`
	Norm          float64       `json:"norm"`   // of all values together
	Tokens        []float64     `json:"norms"`  // of each virtual token
	Layers        []prefixLayer `json:"layers"` // of prefix tuning
	Broken        bool          `json:"broken"` // holds values that are no numbers
}

// prefixLayer is how large the keys and the values of a layer are together.
type prefixLayer struct {
	Keys   float64 `json:"keys"`
	Values float64 `json:"values"`
}

func describeVirtual(path string) (description, error) {
	l, err := prompt.Analyse(os.DirFS(path), path)
	if err != nil {
		return nil, err
	}
	d := &virtualDescription{
		Kind: "adapter", Path: path, Base: l.Base, PEFTType: l.Type, VirtualTokens: l.VirtualTokens, Width: l.Width, Projection: l.Projection,
		Init: l.Init, InitText: l.InitText, Tokens: l.Tokens, Layers: []prefixLayer{}, Broken: l.Broken,
	}
	squares := 0.0
	for _, x := range l.Tokens {
		squares += x * x
	}
	d.Norm, d.Parameters = math.Sqrt(squares), l.VirtualTokens*l.Width*max(1, 2*len(l.Keys))
	for i := range l.Keys {
		d.Layers = append(d.Layers, prefixLayer{l.Keys[i], l.Values[i]})
	}
	return d, nil
}

func (d *virtualDescription) print(p *page) error {
	what := "prompt tuning: embeddings"
	if d.PEFTType == prompt.PrefixTuning {
		what = "prefix tuning: keys and values in each layer"
	}
	p.title(d.Path, "an adapter of %d virtual tokens before each text, %s (%s)", d.VirtualTokens, what, d.PEFTType)
	if d.Base != "" {
		p.line("for", "%s", inspect.Visible(d.Base))
	}
	switch {
	case d.InitText != "":
		p.line("begun", "from the embeddings of %q", d.InitText)
	case d.Init != "":
		p.line("begun", "%s", inspect.Visible(d.Init))
	case d.Projection:
		p.line("begun", "by a projection, of which the files hold what it made")
	}
	p.line("parameters", "%s: %d for each virtual token", count(d.Parameters), d.Parameters/d.VirtualTokens)
	p.line("norm", "%.4g, of a virtual token %.4g to %.4g", d.Norm, slices.Min(d.Tokens), slices.Max(d.Tokens))
	if d.Broken {
		p.text("\nHolds values that are no numbers. The adapter cannot be used.\n")
	}
	if len(d.Layers) > 0 {
		p.text("\nNorms of what all virtual tokens have in a layer:\n  %-8s %10s %10s\n", "layer", "keys", "values")
	}
	for i, l := range d.Layers {
		p.text("  %-8d %10.4g %10.4g\n", i, l.Keys, l.Values)
	}
	return p.err
}
