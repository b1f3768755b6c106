package rows_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"testing"

	"gotune/data/rows"
)

func init() {
	if err := rows.AddFormat(rows.Format{Name: "bars", Endings: []string{".bars"}, Records: bars}); err != nil {
		panic(err)
	}
}

// bars reads a row a line: question|answer. Lines of ! and ? are errors that end the
// file, those of ?? and ??? are wrong alone, one of { is a conversation.
func bars(text io.Reader) iter.Seq2[rows.Record, error] {
	return func(yield func(rows.Record, error) bool) {
		lines := bufio.NewScanner(text)
		lines.Buffer(nil, 1<<20)
		line := 0
		for lines.Scan() {
			line++
			r := rows.Record{Line: line}
			var err error
			switch q, a, ok := strings.Cut(lines.Text(), "|"); {
			case lines.Text() == "!":
				yield(r, errors.New("cannot go on"))
				return
			case lines.Text() == "?":
				yield(r, fmt.Errorf("half a record: %w", io.EOF))
				return
			case lines.Text() == "??":
				err = rows.Broken(io.ErrUnexpectedEOF)
			case lines.Text() == "???":
				err = rows.Broken(io.EOF)
			case strings.HasPrefix(q, "{"):
				r.Fields = map[string]json.RawMessage{"messages": json.RawMessage(q)}
			case q == "nothing":
			case !ok:
				err = rows.Broken(errors.New("no bar"))
			default:
				r.Set("question", q)
				r.Set("answer", a)
			}
			if !yield(r, err) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(rows.Record{Line: line + 1}, err)
		}
	}
}

func TestAddFormat(t *testing.T) {
	for want, f := range map[string]rows.Format{
		"cannot be the name":         {Name: "auto", Records: bars},
		"has no function Records":    {Name: "new"},
		"named csv already":          {Name: "csv", Records: bars},
		".tsv are read as csv":       {Name: "new", Endings: []string{".new", ".tsv"}, Records: bars},
		`"new" cannot be an ending`:  {Name: "new", Endings: []string{"new"}, Records: bars},
		`".New" cannot be an ending`: {Name: "new", Endings: []string{".New"}, Records: bars},
		`".a.b" cannot be an ending`: {Name: "new", Endings: []string{".a.b"}, Records: bars},
		`".gz" cannot be an ending`:  {Name: "new", Endings: []string{".gz"}, Records: bars},
	} {
		if err := rows.AddFormat(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if err := rows.AddFormat(rows.Format{Name: "bars", Records: bars}); err == nil {
		t.Error("a name can be had twice")
	}
}

var barColumns = rows.Columns{Prompt: "question", Completion: "answer"}

// An added format is found by its ending, in folders and in gzip too, or set; what
// is read is hashed, and a file can be read again.
func TestAddedFormat(t *testing.T) {
	one, two := "\ufeff1+1?|2\n", "2+2?|4\n3+3?|6"
	dir := folder(t, map[string]string{"a.bars": one, "b.BARS.gz": packed(t, two), "notes.md": "what this is", "x.unknown": "?"})
	s, all, err := read(t, rows.Config{Paths: []string{dir}, Columns: barColumns})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		got = append(got, fmt.Sprint(filepath.Base(r.At.String()), " ", r.Form, " ", r.Prompt, r.Completion))
	}
	want := "a.bars:1 prompt/completion 1+1?2, b.BARS.gz:1 prompt/completion 2+2?4, b.BARS.gz:2 prompt/completion 3+3?6"
	if strings.Join(got, ", ") != want {
		t.Errorf("rows %q, want %s", got, want)
	}
	hash := sha256.Sum256([]byte(one + packed(t, two)))
	if s.Fingerprint() != hex.EncodeToString(hash[:]) {
		t.Errorf("the fingerprint %s is not that of the bytes", s.Fingerprint())
	}
	if files := s.Files(); files[0].Format != "bars" || !files[1].Gzip || len(s.PassedOver()) != 2 {
		t.Errorf("files %v, passed over %v", files, s.PassedOver())
	}
	again := 0
	for _, err := range s.All(t.Context()) {
		if again++; err != nil || again == 2 {
			break // in the middle of a file
		}
	}
	if again != 2 {
		t.Errorf("%d rows in the second pass", again)
	}
	_, all, err = read(t, rows.Config{Paths: []string{"-"}, Format: "bars", Columns: barColumns, Stdin: strings.NewReader(two)})
	if err != nil || len(all) != 2 {
		t.Errorf("standard input: %d rows, %v", len(all), err)
	}
}

func TestAddedFormatErrors(t *testing.T) {
	for _, test := range []struct {
		name, content string
		columns       rows.Columns
		limit         int64
		good          int // rows
		errs          []string
	}{{
		name: "one wrong record", content: "1|2\nwrong\n3|4\n", columns: barColumns, good: 2, errs: []string{"a.bars:2: no bar"},
	}, {
		name: "an error that ends the file", content: "1|2\n!\n3|4\n", columns: barColumns, good: 1, errs: []string{"a.bars:2: cannot go on"},
	}, {
		name: "an end within the file", content: "1|2\n?\n3|4\n", columns: barColumns, good: 1, errs: []string{"a.bars:2: half a record: EOF"},
	}, {
		name: "ends within records", content: "1|2\n??\n???\n3|4\n", columns: barColumns, good: 2, errs: []string{"a.bars:2: unexpected EOF", "a.bars:3: EOF"},
	}, {
		name: "an end within the first record", content: "?\n", errs: []string{"a.bars:1: half a record: EOF"},
	}, {
		name: "no UTF-8", content: "1|2\n\xff|3\n4|5\n", columns: barColumns, good: 2, errs: []string{`a.bars:2: column "question": not valid UTF-8`},
	}, {
		name: "no columns", content: "1|2\nnothing\n", columns: barColumns, good: 1, errs: []string{"a.bars:2: a row without columns"},
	}, {
		name: "invalid JSON", content: "1|2\n{]\n", columns: barColumns, good: 1, errs: []string{`a.bars:2: column "messages": invalid JSON`},
	}, {
		name: "columns that are not known", content: "1|2\n", errs: []string{"a.bars:1: no known columns: the row has \"answer\", \"question\""},
	}, {
		name: "a record beyond the limit", content: "1|2\n" + strings.Repeat("x", 200_000) + "|2\n", columns: barColumns, limit: 10_000,
		good: 1, errs: []string{"a.bars:2: no bar", "a.bars:3: a row of more than 10000 bytes"}, // a Scanner gives what it has first
	}, {
		name: "no rows", content: "", errs: []string{"a.bars has no rows"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			c := rows.Config{Paths: []string{write(t, "a.bars", test.content)}, Columns: test.columns, Limits: rows.Limits{Row: test.limit}}
			var errs []string
			good := 0
			s, err := rows.Open(t.Context(), c)
			if err != nil {
				errs = append(errs, err.Error())
			} else {
				for _, err := range s.All(t.Context()) {
					if err == nil {
						good++
					} else {
						errs = append(errs, err.Error())
					}
				}
			}
			ok := len(errs) == len(test.errs) && good == test.good
			for i := range test.errs {
				ok = ok && strings.Contains(errs[i], test.errs[i])
			}
			if !ok {
				t.Errorf("%d rows, errors %q, want %d and %q", good, errs, test.good, test.errs)
			}
		})
	}
}
