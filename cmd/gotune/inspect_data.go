package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gotune/data/chat"
	"gotune/data/inspect"
	"gotune/data/rows"
)

// dataDescription is a file of rows, a folder of files, or a corpus.
type dataDescription struct {
	Kind       string         `json:"kind"` // data
	Path       string         `json:"path"`
	Files      []rows.File    `json:"files"`
	PassedOver []string       `json:"passed_over,omitempty"`
	Rows       int            `json:"rows"`
	Forms      map[string]int `json:"forms"` // rows of each
	Wrong      int            `json:"wrong"` // rows that cannot be read
	Errors     []string       `json:"errors,omitempty"`
	First      *firstRow      `json:"first,omitempty"`
	Bytes      int64          `json:"text_bytes"` // of the texts of all rows
}

// firstRow is the first row that can be read.
type firstRow struct {
	At    string     `json:"at"`
	Form  string     `json:"form"`
	Parts []textPart `json:"parts"`
}

// textPart is a text of a row with the name of its place, such as prompt or user.
type textPart struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// mostErrors is how many wrong rows are named.
const mostErrors = 5

func describeData(ctx context.Context, path, columns string) (description, error) {
	chosen, err := rows.ParseColumns(columns)
	if err != nil {
		return nil, usagef("--columns: %w", err)
	}
	source, err := rows.Open(ctx, rows.Config{Paths: []string{path}, Columns: chosen})
	if err != nil {
		return nil, err
	}
	d := &dataDescription{Kind: "data", Path: path, Files: source.Files(), PassedOver: source.PassedOver(), Forms: make(map[string]int)}
	for row, err := range source.All(ctx) {
		var wrong *rows.RowError
		switch {
		case errors.As(err, &wrong):
			d.Wrong++
			if len(d.Errors) < mostErrors {
				d.Errors = append(d.Errors, err.Error())
			}
			continue
		case err != nil:
			return nil, err
		}
		d.Rows++
		d.Forms[row.Form.String()]++
		parts := partsOf(row)
		for _, p := range parts {
			d.Bytes += int64(len(p.Text))
		}
		if d.First == nil {
			d.First = &firstRow{At: row.At.String(), Form: row.Form.String(), Parts: parts}
		}
	}
	return d, nil
}

// partsOf lists the texts of a row.
func partsOf(r *rows.Row) []textPart {
	messages := func(all []chat.Message) []textPart {
		var parts []textPart
		for _, m := range all {
			parts = append(parts, textPart{m.Role, m.Content})
		}
		return parts
	}
	switch r.Form {
	case rows.Text:
		return []textPart{{"text", r.Text}}
	case rows.Completion:
		return []textPart{{"prompt", r.Prompt}, {"completion", r.Completion}}
	case rows.Messages:
		return messages(r.Conversation.Messages)
	}
	parts := messages(r.Conversation.Messages)
	if len(parts) == 0 {
		return []textPart{{"prompt", r.Prompt}, {"chosen", r.Chosen.Text}, {"rejected", r.Rejected.Text}}
	}
	for _, side := range []struct {
		name   string
		answer rows.Answer
	}{{"chosen", r.Chosen}, {"rejected", r.Rejected}} {
		for _, m := range side.answer.Messages {
			parts = append(parts, textPart{side.name, m.Content})
		}
	}
	return parts
}

func (d *dataDescription) print(p *page) error {
	p.title(d.Path, "data")
	for _, f := range d.Files {
		p.line("file", "%s", inspect.Visible(f.String()))
	}
	if n := len(d.PassedOver); n > 0 {
		p.line("not read", "%d files: %s", n, inspect.Visible(clip(strings.Join(d.PassedOver, ", "), 200)))
	}
	p.line("rows", "%d, with %d bytes of text", d.Rows, d.Bytes)
	if d.Wrong > 0 {
		p.line("wrong", "%d rows cannot be read:", d.Wrong)
		for _, e := range d.Errors {
			p.text("    %s\n", inspect.Visible(e))
		}
	}
	if d.First != nil {
		p.line("first row", "%s, %s", inspect.Visible(d.First.At), d.First.Form)
		for _, part := range d.First.Parts {
			p.text("    %s: %s\n", inspect.Visible(part.Name), shown(part.Text))
		}
	}
	if d.Rows > 0 {
		p.text("Next: gotune data %s, which shows the tokens that training would see\n", inspect.Visible(d.Path))
	}
	return p.err
}

// shown is the beginning of a text, with its control characters visible.
func shown(text string) string {
	const most = 300
	left := ""
	if r := []rune(text[:min(len(text), 4*(most+1))]); len(r) > most {
		text, left = string(r[:most]), fmt.Sprintf("… (%d bytes)", len(text))
	}
	return inspect.Visible(text) + left
}
