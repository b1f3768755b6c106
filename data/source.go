package data

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"gotune/data/world"
)

// A row is one row as read, before it is tokenised.
type row struct {
	at    Location
	index int // counted from 0 through all paths
	form  form

	text               string
	prompt, completion string
	messages           []Message
	wording            string
}

// worldPrefix marks a path that names a corpus of the toy world.
const worldPrefix = "world:"

// read calls add for each row of one path and writes what it read to h.
func read(ctx context.Context, path string, columns Columns, h io.Writer, add func(*row) error) error {
	if name, ok := strings.CutPrefix(path, worldPrefix); ok {
		if columns != (Columns{}) {
			return fmt.Errorf("%s: the columns of the toy world have their own names; leave out %q", path, columns)
		}
		return readWorld(ctx, path, name, h, add)
	}
	f, err := os.Open(path)
	if err != nil {
		return err // names the path
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.IsDir() {
		return fmt.Errorf("%s is a folder: name the files in it", path)
	}
	in := io.TeeReader(f, h)
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".jsonl", ".json", ".ndjson":
		return readJSONL(ctx, path, in, columns, add)
	case ".txt", ".text", ".md":
		if columns != (Columns{}) {
			return fmt.Errorf("%s is plain text and has no columns; leave out %q", path, columns)
		}
		return readText(path, in, add)
	default:
		return fmt.Errorf("%s: a file ending in %q cannot be read; JSON lines end in .jsonl or .json, plain text in .txt", path, ext)
	}
}

// byteOrderMark begins some UTF-8 files written on Windows; it is no text.
var byteOrderMark = []byte("\ufeff")

// readText reads a whole file as one text row.
func readText(path string, in io.Reader, add func(*row) error) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	text = bytes.TrimPrefix(text, byteOrderMark)
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	for i, line := range bytes.SplitAfter(text, []byte("\n")) {
		if !utf8.Valid(line) {
			return fmt.Errorf("%s:%d: not valid UTF-8", path, i+1)
		}
	}
	return add(&row{at: Location{path, 1}, form: textForm, text: string(text)})
}

// readWorld gives the rows of a corpus of the toy world. What it writes to h
// are the bytes of the file that world.Write makes of the corpus.
func readWorld(ctx context.Context, path, name string, h io.Writer, add func(*row) error) error {
	rows, err := world.Generate(world.Config{Seed: world.DefaultSeed}).Rows(name)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	enc := json.NewEncoder(h)
	enc.SetEscapeHTML(false)
	line := 0
	for r := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
		line++
		out := &row{at: Location{path, line}, form: textForm, text: r.Text, wording: r.Wording}
		switch {
		case r.Messages != nil:
			out.form = messagesForm
			for _, m := range r.Messages {
				out.messages = append(out.messages, Message(m))
			}
		case r.Prompt != "":
			out.form, out.prompt, out.completion = completionForm, r.Prompt, r.Completion
		}
		if err := add(out); err != nil {
			return err
		}
	}
	return nil
}
