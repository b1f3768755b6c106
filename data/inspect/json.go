package inspect

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"

	"gotune/data"
	"gotune/data/rows"
)

// line is a line of JSON: the tokens of a row, or of a piece of a text that was
// cut, or what is wrong with the row.
type line struct {
	Row     int       `json:"row"`
	Piece   *int      `json:"piece,omitempty"` // from 0, of a text that was cut
	IDs     []int32   `json:"ids,omitempty"`
	Targets []int     `json:"targets,omitempty"` // 1 where the token is learned
	Weights []float32 `json:"weights,omitempty"` // of the tokens in the loss, where not all are 1
	Error   string    `json:"error,omitempty"`
}

// JSON writes a line for each row of the corpora before packing, counted from 0
// through all of them, and returns how many rows there are and how many of them have
// an error. Such a row does not stop the others. Memory does not grow with the data.
func JSON(ctx context.Context, w io.Writer, corpora []data.Corpus, c data.EncoderConfig) (all, wrong int, err error) {
	sources := make([]*rows.Source, len(corpora))
	encoders := make([]*data.Encoder, len(corpora))
	for i, one := range corpora {
		if encoders[i], err = one.Encoder(c); err != nil {
			return 0, 0, err
		}
		if sources[i], err = rows.Open(ctx, rows.Config{Paths: []string{one.Path}, Format: one.Format, Columns: one.Columns}); err != nil {
			return 0, 0, err
		}
	}
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for i, source := range sources {
		for row, err := range source.All(ctx) {
			if ctx.Err() != nil {
				return all, wrong, errors.Join(ctx.Err(), out.Flush())
			}
			var examples []data.Example
			if err == nil {
				examples, err = encoders[i].Encode(row)
			}
			if err != nil {
				wrong++
				err = lines.Encode(line{Row: all, Error: err.Error()})
			} else {
				err = writeExamples(lines, all, examples)
			}
			all++
			if err != nil {
				return all, wrong, err
			}
		}
	}
	return all, wrong, out.Flush()
}

func writeExamples(lines *json.Encoder, row int, examples []data.Example) error {
	for k, x := range examples {
		l := line{Row: row, IDs: x.IDs, Targets: make([]int, len(x.Target)), Weights: x.Weights}
		if len(examples) > 1 {
			l.Piece = &k
		}
		for i, target := range x.Target {
			if target {
				l.Targets[i] = 1
			}
		}
		if err := lines.Encode(l); err != nil {
			return err
		}
	}
	return nil
}
