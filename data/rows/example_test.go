package rows_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gotune/data/rows"
)

// The format and the form of each file are found out and can be said.
func Example() {
	dir, err := os.MkdirTemp("", "rows")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string]string{
		"a.csv":  "question,answer\n1+1?,2\n",
		"b.json": `[{"question": "2+2?", "answer": "4"}]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}

	columns, err := rows.ParseColumns("prompt=question,completion=answer")
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := rows.Open(context.Background(), rows.Config{Paths: []string{dir}, Columns: columns})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range source.Files() {
		fmt.Println(filepath.Base(f.Path), f.Format, f.Form)
	}
	for row, err := range source.All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.Index, row.Prompt, row.Completion)
	}
	// Output:
	// a.csv csv prompt/completion
	// b.json json prompt/completion
	// 0 1+1? 2
	// 1 2+2? 4
}
