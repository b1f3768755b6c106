package registry

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// A Format is a way to export runs.
type Format string

const (
	CSV     Format = "csv"
	JSON    Format = "json"
	Parquet Format = "parquet"
)

// Export writes runs as a table with a line for each, or as a list in JSON. The
// columns are those of the list, the keys of recipes as recipe.KEY, and metrics as
// metric.NAME. What a run has not is empty in CSV and null in Parquet, where a key of
// recipes that has only numbers is a column of numbers.
func Export(w io.Writer, format Format, runs []Run) error {
	var err error
	switch format {
	case CSV:
		err = writeCSV(w, newTable(runs))
	case JSON:
		err = WriteJSON(w, runs)
	case Parquet:
		err = writeParquet(w, newTable(runs))
	default:
		return fmt.Errorf("runs cannot be exported as %q (supported: csv, json, parquet)", format)
	}
	if err != nil {
		return fmt.Errorf("exporting runs as %s: %w", format, err)
	}
	return nil
}

// WriteJSON writes runs as a list in JSON.
func WriteJSON(w io.Writer, runs []Run) error {
	if runs == nil {
		runs = []Run{}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(runs)
}

// A column is a column of a table as text, "" where a run has nothing.
type column struct {
	name   string
	cells  []string
	number bool
}

func newTable(runs []Run) []column {
	var all []column
	add := func(name string, cell func(Run) string) {
		c := column{name: name}
		numbers, filled := 0, 0
		for _, r := range runs {
			text := cell(r)
			if _, ok := finite(text); ok {
				numbers++
			}
			if text != "" {
				filled++
			}
			c.cells = append(c.cells, text)
		}
		c.number = filled > 0 && numbers == filled
		all = append(all, c)
	}
	for _, key := range []string{"run", "status", "error", "started", "model", "method", "data", "steps", "planned", "arm"} {
		add(key, func(r Run) string { return r.Value(key) })
		last := &all[len(all)-1]
		last.number = key == "steps" || key == "planned" // a folder or an arm may be called 8
	}
	for _, key := range settingsOf(runs) {
		add("recipe."+key, func(r Run) string { return string(r.Recipe[key]) })
	}
	for _, name := range metricsOf(runs) {
		add("metric."+name, func(r Run) string {
			if v, ok := r.Metrics[name]; ok {
				return strconv.FormatFloat(v, 'g', -1, 64)
			}
			return ""
		})
	}
	return all
}

func writeCSV(w io.Writer, table []column) error {
	out := csv.NewWriter(w)
	line := make([]string, len(table))
	for i, c := range table {
		line[i] = c.name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for row := range table[0].cells {
		for i, c := range table {
			line[i] = c.cells[row]
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeParquet writes texts, numbers as DOUBLE, and when runs began as TIMESTAMP. The
// columns are in the order of their names, as a schema without a struct has them.
func writeParquet(w io.Writer, table []column) error {
	group, byName := parquet.Group{}, make(map[string]column)
	for _, c := range table {
		node := parquet.String()
		switch {
		case c.name == "started":
			node = parquet.Timestamp(parquet.Millisecond)
		case c.number:
			node = parquet.Leaf(parquet.DoubleType)
		}
		group[c.name], byName[c.name] = parquet.Optional(node), c
	}
	schema := parquet.NewSchema("runs", group)
	out := parquet.NewWriter(w, schema)
	rows := make([]parquet.Row, len(table[0].cells))
	for i, path := range schema.Columns() {
		c := byName[path[0]]
		for row, text := range c.cells {
			v, level := cell(c, text), 1
			if v.IsNull() {
				level = 0
			}
			rows[row] = append(rows[row], v.Level(0, level, i))
		}
	}
	if _, err := out.WriteRows(rows); err != nil {
		return err
	}
	return out.Close()
}

// cell is a text as a value of its column.
func cell(c column, text string) parquet.Value {
	switch {
	case text == "":
		return parquet.NullValue()
	case c.name == "started":
		t, _ := time.Parse(time.RFC3339, text) // written by Run.Value
		return parquet.Int64Value(t.UnixMilli())
	case c.number:
		v, _ := finite(text)
		return parquet.DoubleValue(v)
	}
	return parquet.ByteArrayValue([]byte(text))
}
