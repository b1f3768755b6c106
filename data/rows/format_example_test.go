package rows_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"gotune/data/rows"
)

// A row a line, with two bars between prompt and completion.
func init() {
	err := rows.AddFormat(rows.Format{
		Name: "two-bars", Endings: []string{".2bars"},
		Records: func(text io.Reader) iter.Seq2[rows.Record, error] {
			return func(yield func(rows.Record, error) bool) {
				lines := bufio.NewScanner(text)
				for n := 1; lines.Scan(); n++ {
					prompt, completion, ok := strings.Cut(lines.Text(), "||")
					r := rows.Record{Line: n}
					r.Set("prompt", prompt)
					r.Set("completion", completion)
					var err error
					if !ok {
						err = rows.Broken(errors.New("a line without ||"))
					}
					if !yield(r, err) {
						return
					}
				}
				if err := lines.Err(); err != nil {
					yield(rows.Record{}, err)
				}
			}
		},
	})
	if err != nil {
		panic(err)
	}
}

// The format is found by the ending, and a wrong line stops none of the others.
func ExampleAddFormat() {
	dir, err := os.MkdirTemp("", "rows")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sums.2bars")
	if err := os.WriteFile(path, []byte("1+1=||2\n2+2=4\n3+3=||6\n"), 0o600); err != nil {
		panic(err)
	}
	source, err := rows.Open(context.Background(), rows.Config{Paths: []string{path}})
	if err != nil {
		panic(err)
	}
	for row, err := range source.All(context.Background()) {
		if err != nil {
			fmt.Println(strings.TrimPrefix(err.Error(), dir))
			continue
		}
		fmt.Println(row.At.Line, row.Prompt, row.Completion)
	}
	// Output:
	// 1 1+1= 2
	// /sums.2bars:2: a line without ||
	// 3 3+3= 6
}
