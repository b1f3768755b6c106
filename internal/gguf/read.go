package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"gotune/internal/pages"
)

// A File is an open file, whose header has been checked: keys and names are unique, and
// tensors lie in it one after the other, as ggml asks.
type File struct {
	Meta    Metadata
	Tensors []Info // in the order of the file

	name    string
	r       io.ReaderAt
	close   func() error
	offsets map[string]int64 // of tensors, from the start of the file
}

// OpenFile opens a file of the disk. The caller closes it.
func OpenFile(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := in.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), in.Close())
	}
	f, err := Open(path, in, info.Size())
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	f.close = in.Close
	return f, nil
}

// Open checks the header of a file of the given size. The name is for messages.
func Open(name string, r io.ReaderAt, size int64) (*File, error) {
	f := &File{name: name, r: r, offsets: make(map[string]int64)}
	h := &headerReader{in: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16), left: size}
	if err := f.header(h, size); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Close closes a file that OpenFile has opened.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// errShort is a header that ends before what it announces.
var errShort = errors.New("the header claims more than the file holds: truncated, or not a GGUF file")

// headerReader reads numbers and strings, and never makes room for more than the file has.
type headerReader struct {
	in   *bufio.Reader
	left int64 // bytes of the file that are not yet read
	err  error
}

func (h *headerReader) bytes(n uint64) []byte {
	if h.err != nil || n > uint64(h.left) {
		h.fail(errShort)
		return make([]byte, 8)
	}
	b := make([]byte, max(n, 8)) // so that a number can be read of any
	if _, err := io.ReadFull(h.in, b[:n]); err != nil {
		h.fail(fmt.Errorf("reading the header: %w", err))
	}
	h.left -= int64(n)
	return b
}

func (h *headerReader) fail(err error) {
	if h.err == nil {
		h.err = err
	}
}

// number reads so many bytes as an unsigned number.
func (h *headerReader) number(width int) uint64 {
	return binary.LittleEndian.Uint64(h.bytes(uint64(width)))
}

// count reads the number of things that take at least so many bytes each.
func (h *headerReader) count(each int) int {
	n := h.number(8)
	if n > uint64(h.left)/uint64(each) {
		h.fail(errShort)
		return 0
	}
	return int(n)
}

func (h *headerReader) text() string {
	n := h.number(8)
	b := h.bytes(n)
	if h.err != nil {
		return ""
	}
	return string(b[:n])
}

func (h *headerReader) value(key string) Value {
	v := Value{Kind: Kind(h.number(4))}
	n := 1
	if v.Kind == Array {
		v.Array, v.Kind = true, Kind(h.number(4))
	}
	if h.err == nil && (int(v.Kind) >= len(widths) || v.Kind == Array) {
		h.fail(fmt.Errorf("key %q has a value of the kind %d, which is not supported", key, v.Kind))
	}
	if h.err != nil {
		return v
	}
	width := widths[v.Kind]
	if v.Array {
		n = h.count(width)
	}
	for range n {
		if h.err != nil {
			return v
		}
		if v.Kind == String {
			v.texts = append(v.texts, h.text())
		} else {
			v.bits = append(v.bits, h.number(width))
		}
	}
	return v
}

func (f *File) header(h *headerReader, size int64) error {
	if got := h.bytes(4); string(got[:4]) != magic {
		return errors.New("no GGUF file: it does not begin with GGUF")
	}
	switch v := uint32(h.number(4)); {
	case h.err != nil:
		return h.err
	case v&0xffff == 0:
		return errors.New("a GGUF file of a big-endian machine, which is not supported")
	case v != 2 && v != 3:
		return fmt.Errorf("version %d of GGUF is not supported (supported: 2, 3)", v)
	}
	tensors, keys := h.count(24), h.count(13)
	seen := make(map[string]bool)
	for range keys {
		key := h.text()
		if h.err == nil {
			h.fail(checkName("key", key, seen))
		}
		if h.err != nil {
			return h.err
		}
		f.Meta = append(f.Meta, Pair{key, h.value(key)})
	}
	align, err := f.alignment()
	h.fail(err)
	at := int64(0) // among the tensors
	names := make(map[string]bool)
	for range tensors {
		if h.err != nil {
			return h.err
		}
		at += h.tensor(f, names, at)
		at += padding(at, max(align, 1))
	}
	if h.err != nil {
		return h.err
	}
	return f.place(size-h.left, size, align)
}

// alignment returns what tensors are aligned to.
func (f *File) alignment() (int64, error) {
	v, ok := f.Meta.Get(alignmentKey)
	if !ok {
		return alignment, nil
	}
	if v.Kind != Uint32 || v.Array || v.Len() != 1 || v.bits[0] < 8 || v.bits[0] > 1<<20 || v.bits[0]&(v.bits[0]-1) != 0 {
		return 0, fmt.Errorf("key %q must be a power of two between 8 and 2²⁰", alignmentKey)
	}
	return int64(v.bits[0]), nil
}

// tensor reads the description of a tensor that begins at a place among the tensors, and
// returns its bytes.
func (h *headerReader) tensor(f *File, names map[string]bool, at int64) int64 {
	t := Info{Name: h.text()}
	if h.err == nil {
		h.fail(checkName("tensor", t.Name, names))
	}
	dims := h.number(4)
	if dims > maxDims {
		h.fail(fmt.Errorf("tensor %q has %d dimensions; 1 to %d are possible", t.Name, dims, maxDims))
	}
	if h.err != nil {
		return 0
	}
	t.Shape = make([]int, dims)
	for i := range dims {
		t.Shape[dims-1-i] = int(min(h.number(8), math.MaxInt32+1))
	}
	t.Type = Type(h.number(4))
	offset := h.number(8)
	if h.err == nil {
		h.fail(t.check())
	}
	if h.err == nil && offset != uint64(at) {
		h.fail(fmt.Errorf("tensor %q starts at byte %d, where %d was expected: tensors overlap or leave a gap", t.Name, offset, at))
	}
	if h.err != nil {
		return 0
	}
	if t.bytes() > h.left {
		h.fail(fmt.Errorf("tensor %q has %d bytes, more than the file has left: truncated?", t.Name, t.bytes()))
		return 0
	}
	f.Tensors = append(f.Tensors, t)
	f.offsets[t.Name] = at
	return t.bytes()
}

// place turns the tensors' places into offsets of the file, whose header has so many bytes.
func (f *File) place(header, size, align int64) error {
	start := header + padding(header, align)
	end := header
	for _, t := range f.Tensors {
		f.offsets[t.Name] += start
		if end = f.offsets[t.Name] + t.bytes(); end > size {
			return fmt.Errorf("tensor %q ends at byte %d but the file has only %d: truncated?", t.Name, end, size)
		}
	}
	if rest := size - end; rest >= align {
		return fmt.Errorf("%d bytes after the last tensor", rest)
	}
	return nil
}

// Rows calls use with each row of a tensor, widened to float32. The values are valid until
// use returns.
func (f *File) Rows(t Info, use func(i int, row []float32)) error {
	at, ok := f.offsets[t.Name]
	if !ok {
		return fmt.Errorf("%s: there is no tensor %q", f.name, t.Name)
	}
	raw, row := make([]byte, t.Type.rowBytes(t.columns())), make([]float32, t.columns())
	in := bufio.NewReaderSize(io.NewSectionReader(f.r, at, t.bytes()), 1<<18)
	for i := range t.size() / t.columns() {
		if _, err := io.ReadFull(in, raw); err != nil {
			return fmt.Errorf("%s: reading tensor %q: %w", f.name, t.Name, err)
		}
		t.Type.load(row, raw)
		use(i, row)
	}
	return nil
}

// Read returns a tensor's values, widened to float32.
func (f *File) Read(t Info) ([]float32, error) {
	values := pages.Make[float32](t.size())
	err := f.Rows(t, func(i int, row []float32) { copy(values[i*len(row):], row) })
	return values, err
}

// Check compares a file with what was to be written: metadata, and the bits of every
// value, as its type stores it.
func (f *File) Check(meta Metadata, tensors []Tensor) error {
	if len(f.Meta) != len(meta) || len(f.Tensors) != len(tensors) {
		return fmt.Errorf("%s has %d keys and %d tensors, %d and %d were written", f.name, len(f.Meta), len(f.Tensors), len(meta), len(tensors))
	}
	for i, p := range meta {
		if got := f.Meta[i]; got.Key != p.Key || !got.Value.Equal(p.Value) {
			return fmt.Errorf("%s: key %q was not read back as it was written", f.name, p.Key)
		}
	}
	for i, t := range tensors {
		if err := f.checkTensor(f.Tensors[i], t); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", f.name, t.Name, err)
		}
	}
	return nil
}

func (f *File) checkTensor(got Info, want Tensor) error {
	values, err := want.Values()
	if err != nil {
		return err
	}
	n := want.columns()
	raw, stored := make([]byte, want.Type.rowBytes(n)), make([]float32, n)
	same := got.Name == want.Name && got.Type == want.Type && got.size() == want.size() && got.columns() == n
	if same {
		err = f.Rows(got, func(i int, row []float32) {
			if want.Type.store(raw, values[i*n:(i+1)*n]) != nil {
				same = false
				return
			}
			want.Type.load(stored, raw)
			for j, v := range stored {
				same = same && math.Float32bits(v) == math.Float32bits(row[j])
			}
		})
	}
	if err == nil && !same {
		err = errors.New("it was not read back as it was written")
	}
	return err
}
