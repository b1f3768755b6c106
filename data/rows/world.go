package rows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"gotune/data/world"
)

// A worldDecoder gives the rows of a corpus of the toy world. What it writes to
// the hash are the bytes of the file that world.Write makes of the corpus.
type worldDecoder struct {
	pull    func() (world.Row, bool)
	columns *Columns
	hash    io.Writer
	buffer  bytes.Buffer
	encoder *json.Encoder
	line    int
}

// startWorld makes the decoder of the corpus called name.
func (in *stream) startWorld(name string, c Config, h io.Writer) error {
	path := in.file.Path
	if c.Columns != (Columns{}) {
		return fmt.Errorf("%s: the columns of the toy world have their own names; leave out %q", path, c.Columns)
	}
	rows, err := world.Generate(world.Config{Seed: world.DefaultSeed}).Rows(name)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	in.file.Format, in.file.Bytes = "world", -1
	in.place = func(line int) string { return fmt.Sprintf("%s:%d", path, line) }
	d := &worldDecoder{hash: h, columns: &in.file.Columns}
	d.encoder = json.NewEncoder(&d.buffer)
	d.encoder.SetEscapeHTML(false)
	pull, stop := iter.Pull(rows)
	d.pull = pull
	in.closers = append(in.closers, stopper(stop))
	in.decoder = d
	return nil
}

func (d *worldDecoder) next() (record, error) {
	row, ok := d.pull()
	if !ok {
		return record{}, io.EOF
	}
	d.line++
	r := record{line: d.line}
	d.buffer.Reset()
	if err := d.encoder.Encode(row); err != nil {
		return r, err
	}
	if _, err := d.hash.Write(d.buffer.Bytes()); err != nil {
		return r, err
	}
	*d.columns = Columns{} // rows of one corpus may have several forms
	var err error
	r.fields, err = parseObject(d.buffer.Bytes(), "line")
	return r, err
}

// A stopper ends a sequence that is pulled from.
type stopper func()

func (s stopper) Close() error {
	s()
	return nil
}
