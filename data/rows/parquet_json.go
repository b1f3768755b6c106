package rows

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// A jsonWriter writes the values of one row of a column as JSON.
type jsonWriter struct{ out []byte }

// column writes what lies at a column below the levels rep and def. There is a
// list of values for each leaf, which hold nothing but this place.
func (w *jsonWriter) column(c *parquet.Column, values [][]parquet.Value, rep, def int) error {
	for _, v := range values {
		if len(v) == 0 {
			return errors.New("columns of one list differ in length: the file is damaged")
		}
	}
	switch first := values[0][0]; {
	case c.Optional():
		if def++; first.DefinitionLevel() < def {
			w.out = append(w.out, "null"...)
			return nil
		}
	case c.Repeated():
		rep, def = rep+1, def+1
		if first.DefinitionLevel() < def {
			w.out = append(w.out, "[]"...)
			return nil
		}
		return w.list(c, values, rep, def)
	}
	return w.value(c, values, rep, def)
}

// list writes the elements of a repeated column.
func (w *jsonWriter) list(c *parquet.Column, values [][]parquet.Value, rep, def int) error {
	rest := append([][]parquet.Value(nil), values...)
	element := make([][]parquet.Value, len(values))
	w.out = append(w.out, '[')
	for i := 0; len(rest[0]) > 0; i++ {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		for j, v := range rest {
			n := min(1, len(v))
			for n < len(v) && v[n].RepetitionLevel() > rep {
				n++
			}
			if n == 0 {
				return errors.New("columns of one list differ in length: the file is damaged")
			}
			element[j], rest[j] = v[:n], v[n:]
		}
		if err := w.value(c, element, rep, def); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

// value writes a column that is there: a leaf, a list in Parquet's three
// levels, which is written as its elements, or an object.
func (w *jsonWriter) value(c *parquet.Column, values [][]parquet.Value, rep, def int) error {
	if c.Leaf() {
		return w.leaf(c, values[0][0])
	}
	inner := c.Columns()
	if len(inner) == 1 && !c.Repeated() && inner[0].Repeated() {
		return w.column(inner[0], values, rep, def)
	}
	if c.Repeated() && len(inner) == 1 && (c.Name() == "list" || c.Name() == "bag" || c.Name() == "array") {
		return w.column(inner[0], values, rep, def)
	}
	for i, field := range inner {
		w.out = append(w.out, "{,"[min(i, 1)])
		if err := w.string(field.Name()); err != nil {
			return err
		}
		w.out = append(w.out, ':')
		n := leavesOf(field)
		if err := w.column(field, values[:n], rep, def); err != nil {
			return err
		}
		values = values[n:]
	}
	w.out = append(w.out, '}')
	return nil
}

// leaf writes a single value. Bytes that are not said to be text and are none
// count as nothing.
func (w *jsonWriter) leaf(c *parquet.Column, v parquet.Value) error {
	switch v.Kind() {
	case parquet.Boolean:
		w.out = strconv.AppendBool(w.out, v.Boolean())
	case parquet.Int32:
		w.out = strconv.AppendInt(w.out, int64(v.Int32()), 10)
	case parquet.Int64:
		w.out = strconv.AppendInt(w.out, v.Int64(), 10)
	case parquet.Float:
		w.float(float64(v.Float()), 32)
	case parquet.Double:
		w.float(v.Double(), 64)
	case parquet.ByteArray:
		if c.Type().LogicalType() != nil || utf8.Valid(v.ByteArray()) {
			return w.string(string(v.ByteArray()))
		}
		w.out = append(w.out, "null"...)
	default:
		if v.IsNull() {
			w.out = append(w.out, "null"...)
			return nil
		}
		return w.string(v.String())
	}
	return nil
}

func (w *jsonWriter) float(f float64, bits int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.out = append(w.out, "null"...)
		return
	}
	w.out = strconv.AppendFloat(w.out, f, 'g', -1, bits)
}

func (w *jsonWriter) string(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not valid UTF-8")
	}
	quoted, err := json.Marshal(s)
	w.out = append(w.out, quoted...)
	return err
}
