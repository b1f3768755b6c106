// Package rows reads rows of training data from files, whatever their format.
//
// A [Source] is a list of files, folders, corpora of the toy world, or standard
// input. [Source.All] gives its rows in order and reads them again each time it
// is called, in memory that does not grow with the files. Each row has one of
// four forms, found by the columns of a file's first row or named by [Columns]:
//
//	text                          a document
//	prompt, completion            raw text and its continuation
//	messages                      a conversation: a list of messages, or
//	                              instruction, input and output
//	prompt, chosen, rejected      a preference between two answers
//
// The formats are JSON lines, JSON, CSV, plain text and Parquet, those that
// [AddFormat] adds, and gzip of these. Errors name the file and the line, or the row where a format has no
// lines of its own.
package rows

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"strconv"

	"gotune/data/chat"
)

// A Location is where a row stands.
type Location struct {
	Path string `json:"path"`
	Line int    `json:"line"` // from 1; of JSON and Parquet the row
}

// String returns the path and the line, as in rows.csv:12.
func (l Location) String() string { return l.Path + ":" + strconv.Itoa(l.Line) }

// A Form is what a row is made of.
type Form int

// The forms.
const (
	Unknown    Form = iota
	Text            // Row.Text
	Completion      // Row.Prompt and Row.Completion
	Messages        // Row.Conversation
	Preference      // Row.Chosen and Row.Rejected as answers to Row.Prompt or to Row.Conversation
)

var formNames = [...]string{"unknown", "text", "prompt/completion", "messages", "preference"}

// String returns the form's name.
func (f Form) String() string { return formNames[f] }

// MarshalText writes the form's name.
func (f Form) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (f *Form) UnmarshalText(text []byte) error {
	i := slices.Index(formNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown form of rows %q", text)
	}
	*f = Form(i)
	return nil
}

// A Row is one row of a source.
type Row struct {
	At    Location
	Index int // counted from 0 through all files of the source
	Form  Form

	Text               string
	Prompt, Completion string

	// Conversation of the form Messages; of the form Preference the messages
	// before the answer, where the answers are messages.
	Conversation chat.Conversation

	// The two answers of the form Preference: as messages where the
	// Conversation has any, else as text that continues Prompt.
	Chosen, Rejected Answer

	Wording string // the column of that name, "" where there is none
}

// An Answer is one side of a preference.
type Answer struct {
	Text     string
	Messages []chat.Message
}

// Config says what to read and how.
type Config struct {
	// Paths names files, folders, corpora of the toy world as "world:chat", or
	// standard input as "-". A folder stands for the files in it and its
	// sub-folders whose names end like a known format, in order of their names;
	// those of plain text count only where there are no others, since they tend
	// to describe the data. Names that begin with a dot are passed over, and a
	// link out of the folder is an error.
	Paths []string

	// Format is jsonl, json, csv, text, parquet or an added one. Empty or "auto" finds each
	// file's format by its content and the ending of its name.
	Format string

	// Columns names the columns that make up a row; zero finds them by the first
	// row of each file.
	Columns Columns

	Limits Limits    // on what is read; zero fields stand for defaults
	Stdin  io.Reader // what "-" reads; nil is the standard input of the process
}

// Limits keep a hostile or broken file from taking all memory or all time.
type Limits struct {
	Row      int64 // bytes of one row; 512 MiB unless set
	Unpacked int64 // bytes that one gzip file may unpack to; 256 GiB unless set
	Ratio    int64 // of unpacked to packed bytes, counted from 16 MiB on; 200 unless set
}

func (l Limits) orDefault() Limits {
	if l.Row <= 0 {
		l.Row = 512 << 20
	}
	if l.Unpacked <= 0 {
		l.Unpacked = 256 << 30
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	return l
}

// A File says how a file of a source is read.
type File struct {
	Path    string  `json:"path"`
	Format  string  `json:"format"` // jsonl, json, csv, text, parquet, an added one or world
	Gzip    bool    `json:"gzip,omitempty"`
	Form    Form    `json:"form"` // of its first row; only rows of the toy world may differ
	Columns Columns `json:"columns"`
	Bytes   int64   `json:"bytes"` // its size, −1 where it is not known

	root, name string // of a file found in a folder: opened by its name below the root
}

// String describes the file in a line.
func (f File) String() string {
	s := f.Path + ": " + f.Format
	if f.Gzip {
		s += ", gzip"
	}
	s += ", " + f.Form.String()
	if c := f.Columns.String(); c != "" {
		s += " (" + c + ")"
	}
	return s
}

// called is the file's path as a message says it.
func (f File) called() string {
	if f.Path == stdinPath {
		return "standard input"
	}
	return f.Path
}

// A Source is rows in a fixed order. It is used by one goroutine at a time.
type Source struct {
	config      Config
	files       []File
	passed      []string
	once        map[string]*stream // standard input and other pipes, opened
	fingerprint string
}

// Open expands folders, finds the format and the form of every file and checks
// that its first row can be read. Errors name the file and line. A file without
// rows is an error, except in a folder, where it is passed over.
func Open(ctx context.Context, c Config) (*Source, error) {
	if len(c.Paths) == 0 {
		return nil, errors.New("no data: name at least one file")
	}
	if _, err := c.Columns.Form(); err != nil {
		return nil, err
	}
	c.Limits = c.Limits.orDefault()
	if err := CheckFormat(c.Format); err != nil {
		return nil, err
	}
	s := &Source{config: c, once: map[string]*stream{}}
	for _, path := range c.Paths {
		before := len(s.files)
		files, passed, err := expand(ctx, path, c.Format)
		if err != nil {
			return nil, err
		}
		s.passed = append(s.passed, passed...)
		for _, f := range files {
			if err := s.look(f); err != nil {
				return nil, err
			}
		}
		if len(s.files) == before {
			return nil, fmt.Errorf("%s has no rows: all its files are empty", path)
		}
	}
	return s, nil
}

// look reads a file's first row and keeps what it shows about the file.
func (s *Source) look(f File) error {
	if s.once[f.Path] != nil {
		return fmt.Errorf("%s can be read only once; name %s once", f.called(), f.Path)
	}
	in, err := s.open(f, io.Discard)
	if err != nil {
		return err
	}
	if !in.once {
		defer in.close()
	}
	row, err := in.firstGood()
	if errors.Is(err, io.EOF) {
		if f.root != "" {
			s.passed = append(s.passed, f.Path)
			return nil
		}
		return fmt.Errorf("%s has no rows: the file is empty", f.called())
	}
	if err != nil {
		return err
	}
	in.file.Form = row.Form
	if in.once {
		in.first = row
		s.once[f.Path] = in
	}
	s.files = append(s.files, in.file)
	return nil
}

// Files returns the files in the order in which they are read, folders
// expanded. The slice is the caller's.
func (s *Source) Files() []File { return append([]File(nil), s.files...) }

// PassedOver returns the files found in folders that are not read: those of
// unknown endings, plain text beside files of rows, and empty ones.
func (s *Source) PassedOver() []string { return append([]string(nil), s.passed...) }

// All gives the rows in order. Errors name the file and line. After a *RowError it
// goes on, if the caller does; any other error is the last. The rows may be kept. Standard input and other pipes can
// be read once; a second call gives an error for them.
func (s *Source) All(ctx context.Context) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		h := sha256.New()
		index := 0
		for _, f := range s.files {
			more, err := s.read(ctx, f, h, &index, yield)
			if err != nil {
				yield(nil, err)
				return
			}
			if !more {
				return
			}
		}
		s.fingerprint = hex.EncodeToString(h.Sum(nil))
	}
}

// read gives the rows of one file and returns whether the caller wants more.
func (s *Source) read(ctx context.Context, f File, h hash.Hash, index *int, yield func(*Row, error) bool) (more bool, err error) {
	in, err := s.open(f, h)
	if err != nil {
		return false, err
	}
	defer in.close()
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		row, err := in.next()
		if errors.Is(err, io.EOF) {
			return true, in.finish()
		}
		var wrong *RowError
		switch {
		case errors.As(err, &wrong):
			wrong.Index = *index
		case err != nil:
			return false, err
		default:
			row.Index = *index
		}
		*index++
		if !yield(row, err) {
			return false, nil
		}
	}
}

// Fingerprint returns the SHA-256, in hexadecimal, of the bytes of all files in
// their order, as the last complete pass of [Source.All] met them; "" before
// there was one. A corpus of the toy world counts as the file that world.Write
// makes of it.
func (s *Source) Fingerprint() string { return s.fingerprint }
