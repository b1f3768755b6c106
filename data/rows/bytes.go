package rows

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// A tee gives on what it reads to a hash. What is read before there is one is
// kept until then: the beginning of standard input.
type tee struct {
	in    io.Reader
	h     io.Writer
	early *bytes.Buffer
	count int64
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	t.count += int64(n)
	if t.h == nil {
		t.early.Write(p[:n])
		return n, err
	}
	if _, wrong := t.h.Write(p[:n]); wrong != nil {
		return n, wrong
	}
	return n, err
}

// join sets the hash.
func (t *tee) join(h io.Writer) {
	if t.h == nil {
		t.early.WriteTo(h) // a hash takes everything
		t.h, t.early = h, nil
	}
}

// An unpacker gives the bytes of a gzip stream and refuses one that unpacks to
// far more than data does.
type unpacker struct {
	z      *gzip.Reader
	packed *tee
	out    int64
	limits Limits
}

// ratioFrom is the number of unpacked bytes from which the ratio counts.
const ratioFrom = 16 << 20

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	u.out += int64(n)
	switch {
	case u.out > u.limits.Unpacked:
		return 0, fmt.Errorf("unpacks to more than %s; unpack it yourself if that is right", size(u.limits.Unpacked))
	case u.out > ratioFrom && u.out/u.limits.Ratio > u.packed.count:
		return 0, fmt.Errorf("unpacks to more than %d times its size (%s of %s so far), which rows of data do not; unpack it yourself if that is right",
			u.limits.Ratio, size(u.out), size(u.packed.count))
	case err != nil && !errors.Is(err, io.EOF):
		return n, fmt.Errorf("the gzip file is damaged or cut off: %w", err)
	}
	return n, err
}

// size writes a number of bytes for a message.
func size(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB"}
	i := 0
	for n >= 10<<10 && i < len(units)-1 || n >= 1<<10 && n%(1<<10) == 0 && i < len(units)-1 {
		n >>= 10
		i++
	}
	return fmt.Sprintf("%d %s", n, units[i])
}

// byteOrderMark begins some UTF-8 files written on Windows; it is no text.
var byteOrderMark = []byte("\ufeff")

func skipByteOrderMark(r *bufio.Reader) {
	if head, _ := r.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		r.Discard(len(byteOrderMark)) // peeked: it is there
	}
}
