package kernel_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"gotune/internal/kernel"
)

// TestQuantiseGolden compares widened numbers, bit by bit, with those of
// testdata/quantise.py, which was compared with bitsandbytes.
func TestQuantiseGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/quantise.json")
	if err != nil {
		t.Fatal(err)
	}
	type golden struct {
		SHA256 string
		First  []float32
	}
	var want struct{ Int8, NF4 golden }
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	data := make([]float32, 64*300+37)
	for i := range data {
		n := uint64(i)
		v := float32((n*n*40503+n*7919+n>>5*31)%65536) - 32768
		data[i] = float32(math.Ldexp(float64(v), -int(n/64%23)-12))
		if n/64 == 7 {
			data[i] = 0
		}
	}
	for storage, g := range map[kernel.Storage]golden{kernel.Int8: want.Int8, kernel.NF4: want.NF4} {
		got := kernel.Quantise(storage, data, 1, len(data)).Float32s()
		var raw []byte
		for i, v := range got {
			if i < len(g.First) && v != g.First[i] {
				t.Fatalf("%v: number %d is %g, want %g", storage, i, v, g.First[i])
			}
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != g.SHA256 {
			t.Errorf("%v: the numbers are not those of the script", storage)
		}
	}
}

// TestQuantiseSizes counts the bits of an element of a large matrix.
func TestQuantiseSizes(t *testing.T) {
	const rows, cols = 256, 512
	for storage, bits := range map[kernel.Storage]float64{kernel.Float32: 32, kernel.BFloat16: 16, kernel.Int8: 8.5, kernel.NF4: 4 + 8.0/64 + 32.0/(64*256)} {
		w := kernel.Quantise(storage, make([]float32, rows*cols), rows, cols)
		if got := 8 * float64(w.Bytes()) / float64(w.Len()); got != bits {
			t.Errorf("%v: %g bits an element, want %g", storage, got, bits)
		}
	}
}

// A matrix that is given in pieces is that of the whole, to the bit.
func TestQuantiserInPieces(t *testing.T) {
	const rows, cols = 37, 91 // no whole number of blocks
	data := make([]float32, rows*cols)
	for i := range data {
		data[i] = float32(math.Sin(float64(i)) * float64(1+i%200))
	}
	for _, storage := range []kernel.Storage{kernel.BFloat16, kernel.Int8, kernel.NF4} {
		q := kernel.NewQuantiser(storage, rows, cols)
		for piece := range slices.Chunk(data, 3*64) {
			q.Add(piece)
		}
		whole := kernel.Quantise(storage, data, rows, cols)
		if got := q.Weights(); !slices.Equal(got.Float32s(), whole.Float32s()) || got.Bytes() != whole.Bytes() {
			t.Errorf("%v: pieces give other numbers", storage)
		}
	}
}
