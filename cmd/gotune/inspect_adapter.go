package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gotune/data/inspect"
	"gotune/lora"
	"gotune/train"
)

// adapterDescription is a PEFT adapter.
type adapterDescription struct {
	Kind       string   `json:"kind"` // adapter
	Path       string   `json:"path"`
	Base       string   `json:"base,omitempty"`
	Method     string   `json:"method"` // LoRA, rsLoRA, DoRA, PiSSA or OLoRA
	Rank       int      `json:"rank"`
	Alpha      float64  `json:"alpha"`
	Dropout    float64  `json:"dropout"`
	Targets    []string `json:"targets"`
	Parameters int      `json:"parameters"`
	Norm       float64  `json:"norm"` // of all updates together
	Updates    []update `json:"updates"`
	Idle       []string `json:"learned_nothing"`
	Broken     []string `json:"not_numbers"`
}

// update is what one layer has learned.
type update struct {
	Module        string  `json:"module"`
	Out           int     `json:"out"`
	In            int     `json:"in"`
	Norm          float64 `json:"norm"`
	EffectiveRank float64 `json:"effective_rank"`
}

func describeAdapter(path string) (description, error) {
	if train.IsVirtual(os.DirFS(path)) {
		return describeVirtual(path)
	}
	c, updates, err := lora.Analyse(os.DirFS(path), path)
	if err != nil {
		return nil, err
	}
	d := &adapterDescription{
		Kind: "adapter", Path: path, Method: c.Method(), Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, Targets: c.Targets,
		Updates: []update{}, Idle: []string{}, Broken: []string{},
	}
	squares := 0.0
	for _, u := range updates {
		d.Updates = append(d.Updates, update{u.Module, u.Out, u.In, u.Norm, u.EffectiveRank})
		d.Parameters += u.Rank * (u.Out + u.In)
		squares += u.Norm * u.Norm
		switch {
		case u.Broken:
			d.Broken = append(d.Broken, u.Module)
		case u.Idle:
			d.Idle = append(d.Idle, u.Module)
		}
	}
	d.Norm = math.Sqrt(squares)
	var config struct {
		Base string `json:"base_model_name_or_path"`
	}
	if raw, err := os.ReadFile(filepath.Join(path, "adapter_config.json")); err == nil && json.Unmarshal(raw, &config) == nil {
		d.Base = config.Base
	}
	return d, nil
}

func (d *adapterDescription) print(p *page) error {
	p.title(d.Path, "a %s adapter", d.Method)
	if d.Base != "" {
		p.line("for", "%s", inspect.Visible(d.Base))
	}
	p.line("rank", "%d, alpha %g, dropout %g", d.Rank, d.Alpha, d.Dropout)
	p.line("targets", "%s", inspect.Visible(strings.Join(d.Targets, ", ")))
	p.line("parameters", "%s in %d layers", count(d.Parameters), len(d.Updates))
	p.line("norm", "%.4g, of all updates ΔW together", d.Norm)
	switch d.Method {
	case "DoRA":
		p.line("lengths", "trained too; ΔW is what is added before rows are brought to their lengths")
	case "PiSSA", "OLoRA":
		p.line("begins", "with a part of the base, which ΔW below still holds (gotune combine takes it out)")
	}
	p.text("\nNorm of ΔW and its effective rank, which is at most %d:\n", d.Rank)
	d.table(p)
	if len(d.Idle) > 0 {
		p.text("\nLearned nothing (B is 0, or ΔW below a millionth of the largest): %d of %d\n", len(d.Idle), len(d.Updates))
		for _, m := range d.Idle {
			p.text("  %s\n", inspect.Visible(m))
		}
	}
	if len(d.Broken) > 0 {
		p.text("\nHolds values that are no numbers: %d of %d. The adapter cannot be used.\n", len(d.Broken), len(d.Updates))
		for _, m := range d.Broken {
			p.text("  %s\n", inspect.Visible(m))
		}
	}
	return p.err
}

// table writes a line for each block of layers and a column for each projection.
// Names without a number make lines of their own.
func (d *adapterDescription) table(p *page) {
	var blocks, columns []string
	cells := make(map[[2]string]string)
	for _, u := range d.Updates {
		block, projection := splitModule(u.Module)
		if !slices.Contains(blocks, block) {
			blocks = append(blocks, block)
		}
		if !slices.Contains(columns, projection) {
			columns = append(columns, projection)
		}
		cell := fmt.Sprintf("%#.3g (%.1f)", u.Norm, u.EffectiveRank)
		switch {
		case slices.Contains(d.Broken, u.Module):
			cell = "no numbers"
		case slices.Contains(d.Idle, u.Module):
			cell = "nothing"
		}
		cells[[2]string{block, projection}] = cell
	}
	p.text("  %-8s", "layer")
	for _, c := range columns {
		p.text(" %15s", inspect.Visible(shortest(c, columns)))
	}
	for _, b := range blocks {
		p.text("\n  %-8s", inspect.Visible(b))
		for _, c := range columns {
			p.text(" %15s", cells[[2]string{b, c}])
		}
	}
	p.text("\n")
}

// splitModule takes the number of the block and what follows it from a module's
// name, such as 3 and self_attn.q_proj. A name without a number has "-" for a
// block.
func splitModule(module string) (block, projection string) {
	parts := strings.Split(module, ".")
	for i, part := range parts {
		if _, err := strconv.Atoi(part); err == nil && i+1 < len(parts) {
			return part, strings.Join(parts[i+1:], ".")
		}
	}
	return "-", module
}

// shortest is the last part of a projection's name, or the whole name where
// another ends alike, as attn.c_proj and mlp.c_proj do.
func shortest(name string, all []string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, other := range all {
		if other != name && (other == last || strings.HasSuffix(other, "."+last)) {
			return name
		}
	}
	return last
}
