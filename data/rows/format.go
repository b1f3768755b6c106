package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Format is a way to write rows into a file of text. [AddFormat] makes one
// known.
type Format struct {
	Name string // value of Config.Format
	// Endings are those of the files' names, in lower case with the dot. Files
	// packed by gzip, .gz after the ending, are read too.
	Endings []string
	// Records gives the records of a file in order. It is called anew for each pass
	// over the file. An error is the last thing it gives, unless it is one of
	// [Broken]; its record says the line. The text comes unpacked and without a byte
	// order mark, and reading it fails where a record has more than Limits.Row bytes.
	Records func(text io.Reader) iter.Seq2[Record, error]
}

// A Record is a row as a format gives it: columns by name, in which the row is
// found as in a line of JSON.
type Record struct {
	Line   int                        // where it begins, from 1
	Fields map[string]json.RawMessage // a JSON value each; null is as good as none
}

// Set gives a column a text.
func (r *Record) Set(column, text string) {
	if r.Fields == nil {
		r.Fields = make(map[string]json.RawMessage)
	}
	r.Fields[column] = json.RawMessage(text) // found not to be UTF-8 when it is read
	if utf8.ValidString(text) {
		r.Fields[column], _ = json.Marshal(text) // a string can always be written
	}
}

// Broken marks an error as one of a single record: the records after it can be
// read. It comes out of [Source.All] as a *RowError.
func Broken(err error) error { return broken{err} }

// formats are those that can be set. Those without Records have decoders of their
// own.
var formats = struct {
	sync.Mutex
	list []Format
}{list: []Format{
	{Name: "jsonl", Endings: []string{".jsonl", ".ndjson"}},
	{Name: "json", Endings: []string{".json"}},
	{Name: "csv", Endings: []string{".csv", ".tsv"}},
	{Name: "text", Endings: []string{".txt", ".text", ".md"}},
	{Name: "parquet", Endings: []string{".parquet"}},
}}

// knownFormats returns the formats that can be set.
func knownFormats() []Format {
	formats.Lock()
	defer formats.Unlock()
	return slices.Clone(formats.list)
}

// AddFormat makes a format known by its name and by the endings of its files, to
// everything that reads rows. A name or an ending that is taken is an error.
func AddFormat(f Format) error {
	switch {
	case f.Name == "" || f.Name == "auto" || f.Name == "world":
		return fmt.Errorf("%q cannot be the name of a format", f.Name)
	case f.Records == nil:
		return fmt.Errorf("the format %s has no function Records", f.Name)
	}
	for _, e := range f.Endings {
		if e != strings.ToLower(e) || filepath.Ext(e) != e || len(e) < 2 || e == ".gz" {
			return fmt.Errorf("format %s: %q cannot be an ending; one is a dot and lower-case letters, other than .gz", f.Name, e)
		}
	}
	formats.Lock()
	defer formats.Unlock()
	for _, known := range formats.list {
		if known.Name == f.Name {
			return fmt.Errorf("there is a format named %s already", f.Name)
		}
		for _, e := range f.Endings {
			if slices.Contains(known.Endings, e) {
				return fmt.Errorf("format %s: files that end in %s are read as %s already", f.Name, e, known.Name)
			}
		}
	}
	f.Endings = slices.Clone(f.Endings)
	formats.list = append(formats.list, f)
	return nil
}

// An addedDecoder gives the records of an added format.
type addedDecoder struct {
	pull   func() (Record, error, bool)
	budget *budget
}

// startAdded makes the decoder of an added format.
func (in *stream) startAdded(f Format, text io.Reader, limit int64) {
	d := &addedDecoder{budget: &budget{in: text, limit: limit}}
	pull, stop := iter.Pull2(f.Records(d.budget))
	d.pull = pull
	in.closers = append(in.closers, stopper(stop))
	in.decoder = d
}

func (d *addedDecoder) next() (record, error) {
	d.budget.used = 0
	r, err, ok := d.pull()
	if !ok {
		return record{}, io.EOF
	}
	out := record{line: r.Line, fields: r.Fields}
	if err != nil {
		return out, err
	}
	if len(r.Fields) == 0 {
		return out, broken{errors.New("a row without columns")}
	}
	return out, checkFields(r.Fields)
}
