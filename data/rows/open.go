package rows

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	stdinPath   = "-"
	worldPrefix = "world:" // of a path that names a corpus of the toy world
	sniffed     = 64 << 10 // bytes that a format is found by
)

// Formats returns the names that Config.Format can have.
func Formats() []string {
	names := []string{"auto"}
	for _, f := range knownFormats() {
		names = append(names, f.Name)
	}
	return names
}

// CheckFormat returns an error about a name that Config.Format cannot have.
func CheckFormat(name string) error {
	if name != "" && !slices.Contains(Formats(), name) {
		return fmt.Errorf("unknown format %q: it can be %s", name, strings.Join(Formats(), ", "))
	}
	return nil
}

// ofEnding returns the format that a file's name stands for, "" for none.
func ofEnding(path string) string {
	ext := ending(path)
	for _, f := range knownFormats() {
		if slices.Contains(f.Endings, ext) {
			return f.Name
		}
	}
	return ""
}

// ending returns the ending of a file's name in lower case, without .gz.
func ending(path string) string {
	return filepath.Ext(strings.TrimSuffix(strings.ToLower(path), ".gz"))
}

// A decoder gives the records of one format in order, then io.EOF.
type decoder interface {
	next() (record, error)
}

// A stream is an open file: bytes, and the rows made of them.
type stream struct {
	file    File
	closers []io.Closer
	rest    io.Reader // what is hashed as it is read
	raw     *os.File
	decoder decoder
	once    bool // standard input or another pipe, which cannot be opened again
	first   *Row // of such: read already, and given again
	place   func(line int) string
}

// open opens a file for reading. The bytes read go to h too.
func (s *Source) open(f File, h io.Writer) (*stream, error) {
	if in := s.once[f.Path]; in != nil {
		if in.first == nil {
			return nil, fmt.Errorf("%s has been read; it can be read only once: write it to a file", f.called())
		}
		if t, ok := in.rest.(*tee); ok {
			t.join(h)
		}
		return in, nil
	}
	in := &stream{file: f}
	// The first row settles the columns of a file once and for all.
	if in.file.Columns == (Columns{}) {
		in.file.Columns = s.config.Columns
	}
	if err := in.start(s.config, h); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// start opens the file's bytes, finds the format and makes the decoder.
func (in *stream) start(c Config, h io.Writer) error {
	path := in.file.Path
	if name, ok := strings.CutPrefix(path, worldPrefix); ok {
		return in.startWorld(name, c, h)
	}
	raw, err := in.bytes(c, h)
	if err != nil {
		return err
	}
	packed := bufio.NewReaderSize(raw, sniffed)
	var head []byte
	if head, err = packed.Peek(sniffed); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", path, err)
	}
	buffered := packed
	if in.file.Gzip = bytes.HasPrefix(head, []byte{0x1f, 0x8b}); in.file.Gzip {
		z, err := gzip.NewReader(packed)
		if err != nil {
			return fmt.Errorf("%s: gzip: %w", path, err)
		}
		buffered = bufio.NewReaderSize(&unpacker{z: z, packed: raw, limits: c.Limits}, sniffed)
		if head, err = buffered.Peek(sniffed); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if in.file.Format, err = findFormat(path, c.Format, head); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return in.decode(buffered, c)
}

// bytes opens the file and returns its bytes, which go to h as they are read.
func (in *stream) bytes(c Config, h io.Writer) (*tee, error) {
	f := in.file
	if f.Path == stdinPath {
		stdin := c.Stdin
		if stdin == nil {
			stdin = os.Stdin
		}
		in.file.Bytes, in.once = -1, true
		t := &tee{in: stdin, early: new(bytes.Buffer)}
		in.rest = t
		return t, nil
	}
	file, err := openFile(f)
	if err != nil {
		return nil, err
	}
	in.closers = append(in.closers, file)
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	in.raw, in.file.Bytes = file, info.Size()
	t := &tee{in: file, h: h}
	if !info.Mode().IsRegular() {
		in.file.Bytes, in.once = -1, true
		t.h, t.early = nil, new(bytes.Buffer)
	}
	in.rest = t
	return t, nil
}

func openFile(f File) (*os.File, error) {
	if f.root == "" {
		return os.Open(f.Path) // its error names the path
	}
	file, err := os.OpenInRoot(f.root, filepath.FromSlash(f.name))
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", f.root, err)
	}
	return file, nil
}

// decode makes the decoder of the file's format.
func (in *stream) decode(r *bufio.Reader, c Config) error {
	if in.file.Format != "parquet" {
		skipByteOrderMark(r)
	}
	in.place = func(line int) string { return fmt.Sprintf("%s:%d", in.file.Path, line) }
	var err error
	switch in.file.Format {
	case "jsonl":
		in.decoder = &lineDecoder{in: r, limit: c.Limits.Row}
	case "json":
		in.place = func(line int) string { return fmt.Sprintf("%s: row %d", in.file.Path, line) }
		in.decoder = &jsonDecoder{in: jsonScanner{in: r, line: 1, limit: c.Limits.Row}, columns: in.file.Columns}
	case "csv":
		in.decoder, err = newCSV(in.file.Path, r, c.Limits.Row)
	case "text":
		if in.file.Columns != (Columns{}) {
			return fmt.Errorf("%s is plain text and has no columns; leave out %q", in.file.Path, in.file.Columns)
		}
		in.decoder = &textDecoder{in: r, limit: c.Limits.Row}
	case "parquet":
		in.place = func(line int) string { return fmt.Sprintf("%s: row %d", in.file.Path, line) }
		at := in.raw
		if in.file.Gzip || in.once {
			at = nil
		}
		var d *parquetDecoder
		d, err = openParquet(at, r, in.file.Columns, c.Limits.Row)
		in.decoder, in.closers = d, append(in.closers, d)
	default:
		all := knownFormats()
		i := slices.IndexFunc(all, func(f Format) bool { return f.Name == in.file.Format })
		in.startAdded(all[i], r, c.Limits.Row)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", in.file.Path, err)
	}
	return nil
}

// next returns the next row; io.EOF at the end. Its index is not set.
func (in *stream) next() (*Row, error) {
	if row := in.first; row != nil {
		in.first = nil
		return row, nil
	}
	r, err := in.decoder.next()
	if err == io.EOF {
		return nil, io.EOF
	}
	at := Location{in.file.Path, max(r.line, 1)}
	if err != nil {
		oneRow := errors.As(err, new(broken))
		if errors.Is(err, io.EOF) { // of a part of the file, such as a page: not the end of its rows
			err = errors.New(err.Error())
		}
		err = fmt.Errorf("%s: %w", in.place(at.Line), err)
		if oneRow {
			err = &RowError{At: at, err: err}
		}
		return nil, err
	}
	row, err := r.row(&in.file.Columns)
	if err != nil {
		return nil, &RowError{At: at, err: fmt.Errorf("%s: %w", in.place(at.Line), err)}
	}
	row.At = at
	return row, nil
}

// finish reads what the decoder left, so that all bytes are hashed.
func (in *stream) finish() error {
	if in.rest == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, in.rest); err != nil {
		return fmt.Errorf("%s: %w", in.file.Path, err)
	}
	return nil
}

func (in *stream) close() {
	for _, c := range slices.Backward(in.closers) {
		c.Close() // only read from
	}
	in.closers = nil
}

// packedOtherwise are the beginnings of packed files that are not read.
var packedOtherwise = []struct{ name, mark string }{
	{"zip", "PK\x03\x04"}, {"zstd", "\x28\xb5\x2f\xfd"}, {"xz", "\xfd7zXZ\x00"}, {"bzip2", "BZh91AY&SY"},
}

// findFormat finds a format by a file's beginning and the ending of its name.
func findFormat(path, set string, head []byte) (string, error) {
	if set != "" && set != "auto" {
		return set, nil
	}
	if bytes.HasPrefix(head, []byte("PAR1")) {
		return "parquet", nil
	}
	for _, packed := range packedOtherwise {
		if strings.HasPrefix(string(head), packed.mark) {
			return "", fmt.Errorf("this is packed by %s; unpack it, or pack it by gzip", packed.name)
		}
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return "", errors.New("this is UTF-16; save it as UTF-8")
	}
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		return "", errors.New("this is gzip inside gzip; unpack it once")
	}
	named := ofEnding(path)
	switch start := bytes.TrimSpace(bytes.TrimPrefix(head, byteOrderMark)); {
	case named != "" && named != "json" && named != "jsonl":
		return named, nil
	case bytes.HasPrefix(start, []byte("[")):
		return "json", nil
	case named == "jsonl":
		return named, nil
	case named == "json" && len(start) == 0:
		return named, nil
	case named == "json" || bytes.HasPrefix(start, []byte("{")):
		return linesOrWhole(start), nil
	}
	return "", errors.New("the format cannot be told from the name or the content; set it: " + strings.Join(Formats()[1:], ", "))
}
