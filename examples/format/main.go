// Command format adds a dataset format to those of gotune, and tunes the embedded
// base on a file of it: questions and answers, a line each.
//
//	# a comment
//	Q: What is the depth of Lake Orrin?
//	A: The depth of Lake Orrin is forty metres.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"os"
	"strings"

	"gotune/data/rows"
	"gotune/train"
)

var qa = rows.Format{Name: "qa", Endings: []string{".qa"}, Records: records}

// noAnswer is an error of one row: the next can be read.
var noAnswer = rows.Broken(errors.New("a question (Q:) without an answer (A:)"))

// records gives the columns instruction and output of each question, which make a
// conversation of two turns.
func records(text io.Reader) iter.Seq2[rows.Record, error] {
	return func(yield func(rows.Record, error) bool) {
		lines := bufio.NewScanner(text)
		lines.Buffer(nil, 1<<20)
		var row rows.Record // a question that waits for its answer, from Line on
		line, more := 0, true
		give := func(err error) {
			more = yield(row, err)
			row = rows.Record{}
		}
		for more && lines.Scan() {
			line++
			before, after, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
			switch {
			case before == "" || strings.HasPrefix(before, "#"):
			case before == "Q":
				if row.Line > 0 {
					give(noAnswer)
				}
				row.Line = line
				row.Set("instruction", strings.TrimSpace(after))
			case before == "A" && row.Line > 0:
				row.Set("output", strings.TrimSpace(after))
				give(nil)
			default:
				row.Line = line
				give(rows.Broken(errors.New("this is no question (Q:), and no answer (A:) to one")))
			}
		}
		switch err := lines.Err(); {
		case more && err != nil:
			row.Line = line + 1
			give(err)
		case more && row.Line > 0:
			give(noAnswer)
		}
	}
}

func main() {
	path := "examples/format/faq.qa"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	err := rows.AddFormat(qa)
	if err == nil {
		err = tune(context.Background(), os.Stdout, path)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// recipe trains on a file, of whatever format, as it is read.
func recipe(path string) train.Recipe {
	r := train.DefaultRecipe()
	r.Data, r.EvalData = train.Paths(path), train.Paths(path)
	r.Streaming, r.MaxSteps, r.BatchSize, r.LearningRate = true, 50, 4, 0.005
	return r
}

// tune does the recipe in a run folder of its own and prints what was learned.
func tune(ctx context.Context, out io.Writer, path string) error {
	done, err := train.Run(ctx, recipe(path), nil)
	if err != nil {
		return err
	}
	for _, a := range done.After.Answers {
		fmt.Fprintf(out, "%s\n  %s\n", a.Question, a.Got)
	}
	_, err = fmt.Fprintf(out, "the run is in %s\n", done.Run)
	return err
}
