package rows_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data/rows"
)

// A row that is wrong has its place and its number, and the rows after it can be
// read. The first good row shows what the file holds.
func TestRowsAfterAWrongOne(t *testing.T) {
	tests := []struct {
		name, file, content string
		want                []string
	}{
		{"JSON lines", "a.jsonl", `{"x":7}` + "\n" + `{"text":"a"}` + "\n\n{\n" + `{"text":7}` + "\n{\"text\":\"\xff\"}\n" + `{"text":"b"}`,
			[]string{"0 wrong at 1", "1 a", "2 wrong at 4", "3 wrong at 5", "4 wrong at 6", "5 b"}},
		{"half a line at the end", "a.jsonl", `{"text":"a"}` + "\n" + `{"text":"b`, []string{"0 a", "1 wrong at 2"}},
		{"JSON", "a.json", `[{"text":"a"},{"text":7},3,{"text":"b"}]`, []string{"0 a", "1 wrong at 2", "2 wrong at 3", "3 b"}},
		{"CSV", "a.csv", "text,x\na,1\nb\nc,2\n\xff,3\nd,4\n", []string{"0 a", "1 wrong at 3", "2 c", "3 wrong at 5", "4 d"}},
	}
	for _, tt := range tests {
		s, err := rows.Open(t.Context(), rows.Config{Paths: []string{write(t, tt.file, tt.content)}})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var got []string
		for r, err := range s.All(t.Context()) {
			var wrong *rows.RowError
			switch {
			case errors.As(err, &wrong):
				got = append(got, fmt.Sprintf("%d wrong at %d", wrong.Index, wrong.At.Line))
				if !strings.Contains(err.Error(), tt.file) {
					t.Errorf("%s: %v does not name the file", tt.name, err)
				}
			case err != nil:
				t.Errorf("%s: %v", tt.name, err)
			default:
				got = append(got, fmt.Sprint(r.Index, " ", r.Text))
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

// After what is wrong with a whole file nothing can be read.
func TestNothingAfterABrokenFile(t *testing.T) {
	s, err := rows.Open(t.Context(), rows.Config{Paths: []string{write(t, "a.json", `[{"text":"a"},{"text":"b"`)}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.All(t.Context()) {
		if n++; n == 2 && (err == nil || errors.As(err, new(*rows.RowError))) {
			t.Errorf("error %v", err)
		}
	}
	if n != 2 {
		t.Errorf("%d rows and errors, want 2", n)
	}
}
