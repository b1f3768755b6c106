package hf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"unicode/utf8"
	"unsafe"

	"gotune/internal/pages"
)

// maxHeader is the longest header that is accepted, as in the reference
// implementation: 100 MB.
const maxHeader = 100_000_000

// An Entry describes one tensor of a file.
type Entry struct {
	Name   string
	DType  DType
	Shape  []int
	file   *File // that holds it
	offset int64 // from the start of the file
	bytes  int64
}

// A File is an open safetensors file. Its header has been checked: names are
// unique, offsets lie inside the file, do not overlap, leave no gap, and agree
// with dtype and shape.
type File struct {
	name    string
	r       io.ReaderAt
	in      fs.File // nil if opened by Open
	stat    fs.FileInfo
	mapped  []byte  // the whole file, or nil
	parts   []*File // of a model in several files
	entries []Entry // in order of name
	meta    map[string]string
}

// Open checks the header of a safetensors file of the given size. The name is
// for messages.
func Open(name string, r io.ReaderAt, size int64) (*File, error) {
	f := &File{name: name, r: r}
	if err := f.header(size); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// OpenFS opens a safetensors file of a file system. The caller closes it.
func OpenFS(src fs.FS, path, name string) (*File, error) {
	in, err := src.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	info, err := in.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", name, err), in.Close())
	}
	r, ok := in.(io.ReaderAt)
	if !ok {
		all, err := io.ReadAll(in)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading %s: %w", name, err), in.Close())
		}
		r = bytes.NewReader(all)
	}
	f, err := Open(name, r, info.Size())
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	f.in, f.stat = in, info
	return f, nil
}

// Entries lists the tensors in order of name.
func (f *File) Entries() []Entry { return f.entries }

// Metadata returns the header's __metadata__, which may be nil.
func (f *File) Metadata() map[string]string { return f.meta }

func (f *File) header(size int64) error {
	var length [8]byte
	if _, err := f.r.ReadAt(length[:], 0); err != nil {
		return fmt.Errorf("no safetensors header: the file has %d bytes", size)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > size-8 {
		return fmt.Errorf("the header claims %d bytes but the file has %d: truncated, or not a safetensors file", n, size)
	}
	raw := make([]byte, n)
	if _, err := f.r.ReadAt(raw, 8); err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	if err := f.parse(raw); err != nil {
		return err
	}
	return f.check(8+int64(n), size)
}

// parse reads the JSON object key by key, because encoding/json would keep only
// the last of two tensors with one name.
func (f *File) parse(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("the header is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("the header is not a JSON object")
	}
	seen := make(map[string]bool)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return fmt.Errorf("the header is not valid JSON: %w", err)
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("tensor %q stands twice in the header", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := dec.Decode(&f.meta); err != nil {
				return fmt.Errorf("__metadata__ of the header: %w", err)
			}
			continue
		}
		var e struct {
			DType   DType    `json:"dtype"`
			Shape   []int64  `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := dec.Decode(&e); err != nil {
			return fmt.Errorf("tensor %q in the header: %w", name, err)
		}
		entry := Entry{Name: name, DType: e.DType, file: f, offset: e.Offsets[0], bytes: e.Offsets[1] - e.Offsets[0]}
		for _, d := range e.Shape {
			if d < 0 || d > math.MaxInt32 {
				return fmt.Errorf("tensor %q has the impossible shape %v", name, e.Shape)
			}
			entry.Shape = append(entry.Shape, int(d))
		}
		f.entries = append(f.entries, entry)
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("the header is not valid JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the header goes on after its JSON object")
	}
	return nil
}

// check holds offsets against shapes and against each other, and turns them into
// offsets from the start of the file.
func (f *File) check(start, size int64) error {
	slices.SortFunc(f.entries, func(a, b Entry) int { // of two at one place the empty one first
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.bytes, b.bytes))
	})
	end := int64(0)
	for i := range f.entries {
		e := &f.entries[i]
		want := int64(1)
		for _, d := range e.Shape {
			if d != 0 && want > math.MaxInt64/8/int64(d) {
				return fmt.Errorf("tensor %q has the impossible shape %v", e.Name, e.Shape)
			}
			want *= int64(d)
		}
		if width, err := e.DType.Bytes(); err == nil {
			want *= int64(width)
		} else {
			want = e.bytes // refused when it is read, and only then
		}
		switch {
		case e.bytes != want:
			return fmt.Errorf("tensor %q: shape %v as %s needs %d bytes, its offsets give %d", e.Name, e.Shape, e.DType, want, e.bytes)
		case e.offset < 0 || e.bytes < 0 || e.offset > size-start || e.bytes > size-start-e.offset:
			return fmt.Errorf("tensor %q ends at byte %d of the data but the file has only %d: truncated?", e.Name, e.offset+e.bytes, size-start)
		case e.offset != end:
			return fmt.Errorf("tensor %q starts at byte %d, where %d was expected: tensors overlap or leave a gap", e.Name, e.offset, end)
		}
		end = e.offset + e.bytes
		e.offset += start
	}
	if end != size-start {
		return fmt.Errorf("%d bytes after the last tensor", size-start-end)
	}
	slices.SortFunc(f.entries, func(a, b Entry) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return nil
}

// Read returns the values of one tensor, widened to float32, which is exact. Those
// of a mapped file may be its own memory; see MapFS.
func (f *File) Read(e Entry) (Tensor, error) {
	if data := f.inPlace(e); data != nil {
		return Tensor{Shape: slices.Clone(e.Shape), Data: data}, nil
	}
	return f.ReadCopy(e)
}

// ReadCopy is Read into memory of its own, for small tensors of a file whose large ones
// are not used as they lie in it: a system maps up to 2 MiB about each place that is
// looked at.
func (f *File) ReadCopy(e Entry) (Tensor, error) {
	width, err := e.DType.Bytes()
	if err != nil {
		return Tensor{}, fmt.Errorf("%s: tensor %q: %w", f.name, e.Name, err)
	}
	t := Tensor{Shape: slices.Clone(e.Shape), Data: pages.Make[float32](Size(e.Shape))}
	err = f.pieces(e, func(at int, buf []byte) {
		widen(t.Data[at/width:(at+len(buf))/width], buf, e.DType)
	})
	return t, err
}

// ReadPieces calls use with the values of one tensor, widened to float32, a piece after
// the other, each of a power of two of values but the last. Of a tensor that is
// used up so, no more is in memory at a time, that of a mapped file included.
func (f *File) ReadPieces(e Entry, use func(values []float32)) error {
	width, err := e.DType.Bytes()
	if err != nil {
		return fmt.Errorf("%s: tensor %q: %w", f.name, e.Name, err)
	}
	var values []float32
	return f.pieces(e, func(_ int, buf []byte) {
		if values == nil {
			values = make([]float32, len(buf)/width)
		}
		values = values[:len(buf)/width]
		widen(values, buf, e.DType)
		use(values)
	})
}

// ReadBF16 returns the values of a tensor of the type BF16 as they are stored. Those of
// a mapped file may be its own memory, which inFile says.
func (f *File) ReadBF16(e Entry) (values []uint16, inFile bool, err error) {
	if e.DType != BF16 {
		return nil, false, fmt.Errorf("%s: tensor %q is stored as %s, not BF16", f.name, e.Name, e.DType)
	}
	if e.file.mapped != nil && e.bytes > 0 && e.offset%2 == 0 && littleEndian() {
		return unsafe.Slice((*uint16)(unsafe.Pointer(&e.file.mapped[e.offset])), e.bytes/2), true, nil
	}
	values = pages.Make[uint16](Size(e.Shape))
	err = f.pieces(e, func(at int, buf []byte) {
		for i := range len(buf) / 2 {
			values[at/2+i] = binary.LittleEndian.Uint16(buf[2*i:])
		}
	})
	return values, false, err
}

// ReadCodes returns the bytes of a tensor of the type U8.
func (f *File) ReadCodes(e Entry) (Tensor, error) {
	if e.DType != U8 || int64(Size(e.Shape)) != e.bytes {
		return Tensor{}, fmt.Errorf("%s: tensor %q of shape %v is %d bytes of %s, not one byte of U8 for each element", f.name, e.Name, e.Shape, e.bytes, e.DType)
	}
	t := Tensor{Shape: slices.Clone(e.Shape), Codes: pages.Make[byte](int(e.bytes))}
	err := f.pieces(e, func(at int, buf []byte) { copy(t.Codes[at:], buf) })
	return t, err
}

// pieceBytes is small, since every tensor leaves a piece to the garbage collection.
const pieceBytes = 1 << 16

// pieces reads a tensor a piece at a time, so that its bytes are never in memory
// as a whole, and calls use with the place of each in the tensor.
func (f *File) pieces(e Entry, use func(at int, buf []byte)) error {
	buf := make([]byte, min(int64(pieceBytes), max(e.bytes, 1)))
	for done := int64(0); done < e.bytes; done += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), e.bytes-done)]
		if _, err := e.file.r.ReadAt(buf, e.offset+done); err != nil {
			return fmt.Errorf("%s: reading tensor %q: %w", f.name, e.Name, err)
		}
		use(int(done), buf)
	}
	return nil
}

// ReadAll returns every tensor of the file by name.
func (f *File) ReadAll() (map[string]Tensor, error) {
	all := make(map[string]Tensor, len(f.entries))
	for _, e := range f.entries {
		t, err := f.Read(e)
		if err != nil {
			return nil, err
		}
		all[e.Name] = t
	}
	return all, nil
}

// ReadFS opens path of src, reads every tensor and closes the file. The name is
// for messages.
func ReadFS(src fs.FS, path, name string) (map[string]Tensor, error) {
	f, err := OpenFS(src, path, name)
	if err != nil {
		return nil, err
	}
	all, err := f.ReadAll()
	return all, errors.Join(err, f.Close())
}
