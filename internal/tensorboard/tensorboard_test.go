package tensorboard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"testing"
	"time"
)

// at is a time so many seconds after the start of 2026.
func at(seconds float64) time.Time {
	return time.UnixMicro(1767225600e6 + int64(seconds*1e6))
}

// The bytes are those of TensorBoard's own writer; testdata/events.py made them.
func TestGolden(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	err := errors.Join(
		w.Version(at(0.25)),
		w.Text(at(0.5), 0, "recipe", "a: 1\nb: é"),
		w.Scalars(at(1.25), 1, Scalar{"train/loss", 2.5}, Scalar{"train/learning_rate", 1e-4}),
		w.Scalars(at(76), 300, Scalar{"train/loss", math.NaN()}, Scalar{"train/learning_rate", math.Inf(-1)}),
		w.Scalars(at(1+1<<29), 1<<31, Scalar{"train/loss", 0}, Scalar{"train/learning_rate", 3.1415926535}),
	)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/events.golden")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", b.Bytes(), want)
	}
}

// The check sums of a record are those of the framing's definition: 32 zero bytes
// have the CRC-32C 8a9136aa (RFC 3720, B.4), rotated by 15 bits and moved.
func TestMasked(t *testing.T) {
	crc := uint32(0x8a9136aa)
	want := crc>>15 | crc<<17
	want += 0xa282ead8
	if got := masked(make([]byte, 32)); got != want {
		t.Errorf("masked CRC %08x, want %08x", got, want)
	}
}

// Every event is one write, so that a process that is killed leaves whole events
// before the last one.
func TestOneWritePerEvent(t *testing.T) {
	var sizes counter
	w := NewWriter(&sizes)
	if err := errors.Join(w.Version(at(0)), w.Scalars(at(1), 1, Scalar{"a", 1}, Scalar{"b", 2}), w.Text(at(2), 2, "c", "d")); err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 3 {
		t.Errorf("3 events took %d writes", len(sizes))
	}
	for i, b := range sizes {
		if n := binary.LittleEndian.Uint64(b); int(n)+16 != len(b) {
			t.Errorf("record %d says it has %d bytes and has %d", i, n, len(b)-16)
		}
	}
}

type counter [][]byte

func (c *counter) Write(p []byte) (int, error) {
	*c = append(*c, bytes.Clone(p))
	return len(p), nil
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriteError(t *testing.T) {
	if err := NewWriter(full{}).Version(at(0)); err == nil {
		t.Error("a failed write is no error")
	}
}
