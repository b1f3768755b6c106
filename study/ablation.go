package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"gotune/data/rows"
	"gotune/internal/disk"
)

// An Ablation is a study put together from a few values: a grid, compared with its
// first point.
type Ablation struct {
	ID      string
	Shared  yaml.MapSlice // keys of a recipe
	Vary    []string      // KEY=VALUE,VALUE,… in YAML; a list among the values stands in brackets
	Seeds   int
	Metrics []string // names of measures; nil for loss and, of questions, exact_match
	Judged  []string // paths of held-out data
	Asked   bool     // the held-out rows have prompts
	Columns string   // of them
	Format  string
}

// YAML returns the file of the study.
func (a Ablation) YAML() ([]byte, error) {
	vary := yaml.MapSlice{}
	for _, text := range a.Vary {
		key, values, err := splitVary(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(vary, func(m yaml.MapItem) bool { return m.Key == key }) {
			return nil, fmt.Errorf("%s varies twice: give all its values at once, as in lora_rank=2,4,8", key)
		}
		vary = append(vary, yaml.MapItem{Key: key, Value: values})
	}
	metrics := yaml.MapSlice{}
	wanted := a.Metrics
	if wanted == nil {
		wanted = []string{"loss"}
		if a.Asked {
			wanted = append(wanted, "exact_match")
		}
	}
	for at, name := range wanted {
		if slices.Contains(wanted[:at], name) {
			return nil, fmt.Errorf("the metric %s is named twice", name)
		}
		i := slices.IndexFunc(Measures(), func(m Measure) bool { return m.Name == name })
		if i < 0 {
			var all []string
			for _, m := range Measures() {
				if m.Needs == "" && !slices.Contains(all, m.Name) {
					all = append(all, m.Name)
				}
			}
			return nil, fmt.Errorf("there is no metric %q; %s", name, among(name, all))
		}
		m := Measures()[i]
		if m.Needs != "" {
			return nil, fmt.Errorf("the metric %s needs %s: write a study file for it (gotune study metrics)", name, m.Needs)
		}
		spec := yaml.MapSlice{{Key: m.Family, Value: name}}
		if m.Family != "run" {
			judged := a.Judged
			if m.Family == "curve" {
				judged = judged[:min(1, len(judged))]
			}
			spec = append(spec, yaml.MapItem{Key: "data", Value: judged})
			if a.Columns != "" {
				spec = append(spec, yaml.MapItem{Key: "columns", Value: a.Columns})
			}
			if a.Format != "" {
				spec = append(spec, yaml.MapItem{Key: "format", Value: a.Format})
			}
		}
		metrics = append(metrics, yaml.MapItem{Key: name, Value: spec})
	}
	return yaml.Marshal(yaml.MapSlice{
		{Key: "id", Value: a.ID}, {Key: "title", Value: "An ablation"},
		{Key: "seeds", Value: yaml.MapSlice{{Key: "quick", Value: a.Seeds}, {Key: "full", Value: a.Seeds}}},
		{Key: "shared", Value: a.Shared}, {Key: "vary", Value: vary}, {Key: "metrics", Value: metrics},
	})
}

// splitVary reads KEY=VALUE,VALUE,….
func splitVary(text string) (key string, values []any, err error) {
	for i, c := range text {
		if c == '=' {
			key = text[:i]
			err = yaml.Unmarshal([]byte("["+text[i+1:]+"]"), &values)
			break
		}
	}
	if key == "" || err != nil || len(values) == 0 {
		return "", nil, fmt.Errorf("%q is no KEY=VALUE,VALUE, such as lora_rank=2,4,8", text)
	}
	return key, values, nil
}

// Rows that are held out where a study has no held-out data of its own: a tenth, and
// no more than these.
const mostHeldOut = 200

// HoldOut writes the rows of some data into two files of a folder: train.jsonl, and
// heldout.jsonl with rows spread over the data that are not trained on. It reports
// whether the rows have prompts.
func HoldOut(ctx context.Context, c rows.Config, dir string) (train, heldOut string, asked bool, err error) {
	src, err := rows.Open(ctx, c)
	if err != nil {
		return "", "", false, err
	}
	var all []map[string]any
	for r, err := range src.All(ctx) {
		if err != nil {
			return "", "", false, err
		}
		row, err := asJSON(r)
		if err != nil {
			return "", "", false, fmt.Errorf("%s: %w", r.At, err)
		}
		asked = asked || r.Form != rows.Text
		all = append(all, row)
	}
	every := max(10, len(all)/mostHeldOut)
	if len(all) < 2*every {
		return "", "", false, fmt.Errorf("%d rows are too few to hold some of them out: name held-out data by eval_data", len(all))
	}
	train, heldOut = filepath.Join(dir, "train.jsonl"), filepath.Join(dir, "heldout.jsonl")
	for path, held := range map[string]bool{train: false, heldOut: true} {
		err = errors.Join(err, disk.WriteFile(path, func(w io.Writer) error {
			enc := json.NewEncoder(w)
			enc.SetEscapeHTML(false)
			for i, row := range all {
				if (i%every == every-1) != held {
					continue
				}
				if err := enc.Encode(row); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return train, heldOut, asked, err
}

// asJSON writes a row under the names that need no columns.
func asJSON(r *rows.Row) (map[string]any, error) {
	row := make(map[string]any)
	if r.Wording != "" {
		row["wording"] = r.Wording
	}
	switch r.Form {
	case rows.Text:
		row["text"] = r.Text
	case rows.Completion:
		row["prompt"], row["completion"] = r.Prompt, r.Completion
	case rows.Messages:
		var messages []map[string]any
		for _, m := range r.Conversation.Messages {
			one := map[string]any{"role": m.Role, "content": m.Content}
			for key, value := range m.Extra {
				one[key] = value
			}
			for key, value := range map[string]string{"name": m.Name, "tool_call_id": m.ToolCallID} {
				if value != "" {
					one[key] = value
				}
			}
			if m.ToolCalls != nil {
				one["tool_calls"] = m.ToolCalls
			}
			if m.Weight != nil {
				one["weight"] = *m.Weight
			}
			messages = append(messages, one)
		}
		row["messages"] = messages
		for key, value := range map[string]json.RawMessage{"tools": r.Conversation.Tools, "documents": r.Conversation.Documents} {
			if value != nil {
				row[key] = value
			}
		}
	default:
		return nil, fmt.Errorf("a row of the form %s cannot be held out", r.Form)
	}
	return row, nil
}
