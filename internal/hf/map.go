package hf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"
)

// errNoMap is why a file is read and not mapped.
var errNoMap = errors.New("the file cannot be mapped into memory")

// MapFS is OpenFS for tensors that are used for long: on Linux and macOS a file of
// the disk is mapped into memory, so that Read hands out float32 tensors, and Bytes
// all of them, as they lie in the file. Such a tensor is private: writing to it
// changes neither the file nor what others see of it. It is valid until Close.
//
// The size of the file is checked when it is opened. A file that is cut short
// afterwards, while its tensors are in use, ends the program with SIGBUS as soon as
// a part that is gone is looked at for the first time; no program that maps files
// can keep that from happening. One that is changed gives wrong values, which
// Unchanged finds out. Replacing the file, as WriteFile does it, harms nobody.
func MapFS(src fs.FS, path, name string) (*File, error) {
	f, err := OpenFS(src, path, name)
	if err != nil {
		return nil, err
	}
	if disk, ok := f.in.(*os.File); ok {
		// Where mapping fails, the file is read.
		if data, err := mapFile(disk, f.stat.Size()); err == nil {
			f.mapped = data
		}
	}
	return f, nil
}

// Unchanged returns an error if the file was written to or cut short since it was
// opened and tensors are still used as they lie in it.
func (f *File) Unchanged() error {
	for _, p := range f.parts {
		if err := p.Unchanged(); err != nil {
			return err
		}
	}
	if f.mapped == nil {
		return nil
	}
	now, err := f.in.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	if now.Size() != f.stat.Size() || !now.ModTime().Equal(f.stat.ModTime()) {
		return fmt.Errorf("%s was written to while it was in use: it had %d bytes and has %d; what was computed since cannot be trusted", f.name, f.stat.Size(), now.Size())
	}
	return nil
}

// Close gives the memory of a mapped file back and closes the file.
func (f *File) Close() error {
	var err error
	for _, p := range f.parts {
		err = errors.Join(err, p.Close())
	}
	if f.mapped != nil {
		err, f.mapped = errors.Join(err, unmap(f.mapped)), nil
	}
	if f.in != nil {
		err, f.in = errors.Join(err, f.in.Close()), nil
	}
	return err
}

// Bytes returns the bytes of a tensor as they are stored, little endian: those of
// the mapped file, or a copy.
func (f *File) Bytes(e Entry) ([]byte, error) {
	if f := e.file; f.mapped != nil {
		return f.mapped[e.offset : e.offset+e.bytes : e.offset+e.bytes], nil
	}
	raw := make([]byte, e.bytes)
	if _, err := e.file.r.ReadAt(raw, e.offset); err != nil {
		return nil, fmt.Errorf("%s: reading tensor %q: %w", f.name, e.Name, err)
	}
	return raw, nil
}

// InPlace reports whether Read hands out a tensor as it lies in the mapped file.
func (f *File) InPlace(e Entry) bool {
	return e.file.mapped != nil && e.DType == F32 && e.bytes > 0 && e.offset%4 == 0 && littleEndian()
}

func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

func (f *File) inPlace(e Entry) []float32 {
	if !f.InPlace(e) {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&e.file.mapped[e.offset])), e.bytes/4)
}
