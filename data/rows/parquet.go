package rows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// A parquetDecoder reads the columns that make up rows, a page of each at a
// time. Other columns of the file are not read.
type parquetDecoder struct {
	file  *parquet.File
	at    io.ReaderAt // its bytes
	size  int64
	limit int64 // bytes of a row

	columns []*parquet.Column // at the top, those that are read
	leaves  []*leaf           // below them, in order
	group   int               // the row group that comes next
	left    int64             // rows of the row group at hand
	row     int
}

// openParquet opens a file that can be read at any place. Where there is none,
// because it is packed or a pipe, what r gives is held in memory, up to the limit
// of a row.
func openParquet(file *os.File, r *bufio.Reader, c Columns, limit int64) (*parquetDecoder, error) {
	var at io.ReaderAt = file
	var n int64
	if file == nil {
		whole, err := io.ReadAll(io.LimitReader(r, limit+1))
		if err != nil {
			return nil, err
		}
		if int64(len(whole)) > limit {
			return nil, fmt.Errorf("packed Parquet, or Parquet from a pipe, of more than %s; unpack it to a file", size(limit))
		}
		at, n = bytes.NewReader(whole), int64(len(whole))
	} else {
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		n = info.Size()
	}
	d := &parquetDecoder{limit: limit}
	return d, guard(func() error { return d.open(at, n, c) })
}

// open reads the file's footer and chooses the columns.
func (d *parquetDecoder) open(at io.ReaderAt, n int64, c Columns) error {
	if err := checkFooter(at, n); err != nil {
		return err
	}
	file, err := parquet.OpenFile(at, n, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return err
	}
	all := file.Root().Columns()
	d.file, d.at, d.size = file, at, n
	d.columns = chosen(all, c)
	for _, column := range d.columns {
		d.addLeaves(column)
	}
	if len(d.leaves) == 0 {
		return errors.New("the file has no columns")
	}
	return nil
}

// chosen returns the columns that rows are made of; all of them where some are
// missing, so that an error can name what there is.
func chosen(all []*parquet.Column, c Columns) []*parquet.Column {
	names := make(map[string]json.RawMessage, len(all))
	for _, column := range all {
		names[column.Name()] = nil
	}
	if c == (Columns{}) {
		found, ok := detect(names)
		if !ok {
			return all
		}
		c = found
	}
	beside := Columns{System: "system", Tools: "tools", Text: "wording", Output: "documents"}
	var list []*parquet.Column
	for _, column := range all {
		if c.use(column.Name()) || beside.use(column.Name()) {
			list = append(list, column)
			delete(names, column.Name())
		}
	}
	for _, f := range c.all() {
		if *f.name != "" && !anyUsed(list, Columns{Text: *f.name}) {
			return all
		}
	}
	return list
}

func anyUsed(list []*parquet.Column, c Columns) bool {
	for _, column := range list {
		if c.use(column.Name()) {
			return true
		}
	}
	return false
}

func (d *parquetDecoder) addLeaves(c *parquet.Column) {
	if c.Leaf() {
		d.leaves = append(d.leaves, &leaf{column: c})
		return
	}
	for _, inner := range c.Columns() {
		d.addLeaves(inner)
	}
}

func (d *parquetDecoder) next() (r record, err error) {
	d.row++
	r.line = d.row
	err = guard(func() error {
		r.fields, err = d.fields()
		return err
	})
	return r, err
}

// guard turns a panic of the library, which does not check everything that a
// damaged file can say, into an error.
func guard(f func() error) (err error) {
	defer func() {
		if wrong := recover(); wrong != nil {
			err = fmt.Errorf("the Parquet file is damaged: %v", wrong)
		}
	}()
	return f()
}

// fields reads the next row; io.EOF after the last.
func (d *parquetDecoder) fields() (map[string]json.RawMessage, error) {
	for d.left == 0 {
		if d.group == len(d.file.RowGroups()) {
			return nil, io.EOF
		}
		if err := d.start(d.group); err != nil {
			return nil, err
		}
		d.group++
	}
	d.left--
	budget := d.limit
	var values [][]parquet.Value
	for _, l := range d.leaves {
		row, err := l.row(&budget)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", l.column.Name(), err)
		}
		values = append(values, row)
	}
	fields := make(map[string]json.RawMessage, len(d.columns))
	for _, c := range d.columns {
		n := leavesOf(c)
		var w jsonWriter
		if err := w.column(c, values[:n], 0, 0); err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name(), err)
		}
		fields[c.Name()] = w.out
		values = values[n:]
	}
	return fields, nil
}

// start goes to the first page of each column of a row group.
func (d *parquetDecoder) start(group int) error {
	meta, chunks := d.file.Metadata().RowGroups[group], d.file.RowGroups()[group].ColumnChunks()
	for _, l := range d.leaves {
		i := l.column.Index()
		if i >= len(meta.Columns) || i >= len(chunks) {
			return errors.New("a row group without all columns: the file is damaged")
		}
		if err := checkPages(d.at, d.size, l.column, meta.Columns[i].MetaData); err != nil {
			return fmt.Errorf("column %q: %w", l.column.Name(), err)
		}
		l.start(chunks[i].Pages())
	}
	d.left = meta.NumRows
	return nil
}

// Close lets go of the pages at hand.
func (d *parquetDecoder) Close() error {
	return guard(func() error {
		for _, l := range d.leaves {
			l.start(nil)
		}
		return nil
	})
}

func leavesOf(c *parquet.Column) int {
	if c.Leaf() {
		return 1
	}
	n := 0
	for _, inner := range c.Columns() {
		n += leavesOf(inner)
	}
	return n
}

// A leaf reads the values of one column without columns inside.
type leaf struct {
	column *parquet.Column
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buffer [64]parquet.Value
	at, n  int // the values of the buffer that are still to come
	held   []parquet.Value
}

// start goes to the pages of another row group.
func (l *leaf) start(pages parquet.Pages) {
	if l.page != nil {
		parquet.Release(l.page)
	}
	if l.pages != nil {
		l.pages.Close() // only read from
	}
	l.pages, l.page, l.values, l.at, l.n = pages, nil, nil, 0, 0
}

// row returns the values of the next row: one, or those up to where the
// repetition starts again. They are valid until the next call.
func (l *leaf) row(budget *int64) ([]parquet.Value, error) {
	l.held = l.held[:0]
	for {
		if l.at == l.n {
			err := l.fill()
			if errors.Is(err, io.EOF) && len(l.held) > 0 {
				return l.held, nil
			}
			if errors.Is(err, io.EOF) {
				return nil, errors.New("the column ends before the others: the file is damaged")
			}
			if err != nil {
				return nil, err
			}
		}
		v := l.buffer[l.at]
		if len(l.held) > 0 && v.RepetitionLevel() == 0 {
			return l.held, nil
		}
		if *budget -= 32 + int64(len(v.Bytes())); *budget < 0 {
			return nil, errors.New("a row of more than the limit of its size")
		}
		l.held = append(l.held, v.Clone())
		l.at++
	}
}

// fill reads more values into the buffer.
func (l *leaf) fill() error {
	for {
		if l.values == nil {
			page, err := l.pages.ReadPage()
			if err != nil {
				return err
			}
			l.page, l.values = page, page.Values()
		}
		n, err := l.values.ReadValues(l.buffer[:])
		if n > 0 {
			l.at, l.n = 0, n
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		parquet.Release(l.page)
		l.page, l.values = nil, nil
	}
}
