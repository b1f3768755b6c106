package gguf

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// values is the formula of testdata/golden.py.
func values(name string, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		x := uint32(i)*0x9e3779b1 + crc32.ChecksumIEEE([]byte(name))
		x ^= x >> 15
		x *= 0x2c1b3c6d
		x ^= x >> 12
		out[i] = (float32(x>>16) - 32768) / (1 << 19)
	}
	return out
}

func tensor(name string, t Type, values []float32, shape ...int) Tensor {
	return Tensor{Info{name, shape, t}, func() ([]float32, error) { return values, nil }}
}

// golden is what golden.gguf holds.
func golden() (Metadata, []Tensor) {
	signed := func(v int64) []uint64 { return []uint64{uint64(v)} }
	meta := Metadata{
		{"general.architecture", Text("llama")},
		{"test.uint8", Value{Kind: Uint8, bits: []uint64{200}}},
		{"test.int8", Value{Kind: Int8, bits: []uint64{256 - 100}}},
		{"test.uint16", Value{Kind: Uint16, bits: []uint64{60000}}},
		{"test.int16", Value{Kind: Int16, bits: []uint64{1<<16 - 30000}}},
		{"test.uint32", Uint(4000000000)},
		{"test.int32", Ints([]int32{-2000000000}).element()},
		{"test.uint64", Value{Kind: Uint64, bits: []uint64{1<<63 + 5}}},
		{"test.int64", Value{Kind: Int64, bits: signed(-1 << 62)}},
		{"test.float32", Float(0.1)},
		{"test.float64", Value{Kind: Float64, bits: []uint64{math.Float64bits(0.1)}}},
		{"test.bool", Flag(true)},
		{"test.string", Text("Grüße, 世界 🦙")},
		{"test.strings", Texts([]string{"", "a", "▁b"})},
		{"test.floats", Floats([]float32{0.5, -1.25})},
		{"test.ints", Ints([]int32{1, -2, 3})},
		{"test.bools", Flags(true, false, true)},
	}
	ties := make([]float32, 64)
	ties[0] = 127
	for i := range 31 {
		ties[1+i] = float32(i) - 14.5
	}
	return meta, []Tensor{
		tensor("f32.weight", F32, values("f32", 15), 3, 5),
		tensor("f16.weight", F16, values("f16", 24), 2, 3, 4),
		tensor("bf16.weight", BF16, values("bf16", 7), 7),
		tensor("q8_0.weight", Q8_0, values("q8_0", 192), 3, 64),
		tensor("ties", Q8_0, ties, 64),
	}
}

// A file is that of the gguf package, byte for byte: metadata, layout, and the rounding of
// each type.
func TestGoldenFile(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "golden.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	meta, tensors := golden()
	var got bytes.Buffer
	if err := Write(&got, meta, tensors); err != nil {
		t.Fatal(err)
	}
	for i := range max(got.Len(), len(want)) {
		if i >= got.Len() || i >= len(want) || got.Bytes()[i] != want[i] {
			t.Fatalf("%d bytes, want %d; the first that differs is at %d", got.Len(), len(want), i)
		}
	}
	f, err := OpenFile(filepath.Join("testdata", "golden.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Check(meta, tensors); err != nil {
		t.Error(err)
	}
	if v, ok := f.Meta.Get("test.int8"); !ok || !slices.Equal(v.Float64s(), []float64{-100}) {
		t.Errorf("test.int8 is %v", v)
	}
	if v, _ := f.Meta.Get("test.strings"); !slices.Equal(v.Strings(), []string{"", "a", "▁b"}) || v.Len() != 3 {
		t.Errorf("test.strings is %q", v.Strings())
	}
}

// What is read differs from what was written by half a step of the type at most.
func TestRounding(t *testing.T) {
	for kind, step := range map[Type]float64{F32: 0, BF16: 0x1p-7, F16: 0x1p-10, Q8_0: 0} {
		x := values(kind.String(), 128)
		var b bytes.Buffer
		if err := Write(&b, nil, []Tensor{tensor("x", kind, x, 2, 64)}); err != nil {
			t.Fatal(err)
		}
		f, err := Open("x", bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Read(f.Tensors[0])
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range x {
			bound := math.Abs(float64(v)) * step / 2
			if kind == Q8_0 { // half a step of the scale, and the scale's own rounding
				largest := 0.0
				for _, w := range x[i/32*32 : i/32*32+32] {
					largest = max(largest, math.Abs(float64(w)))
				}
				bound = largest/127/2*(1+0x1p-10) + math.Abs(float64(v))*0x1p-11
			}
			if d := math.Abs(float64(got[i] - v)); d > bound {
				t.Errorf("%v: %g became %g, off by %.3g where %.3g is allowed", kind, v, got[i], d, bound)
			}
		}
	}
}

func TestRefusedWrites(t *testing.T) {
	one := []float32{1}
	for want, tensors := range map[string][]Tensor{
		`tensor "a" stands twice`:                    {tensor("a", F32, one, 1), tensor("a", F32, one, 1)},
		`tensor "a\xff" is not UTF-8`:                {tensor("a\xff", F32, one, 1)},
		`a name has 1 to 63 bytes`:                   {tensor(strings.Repeat("x", 64), F32, one, 1)},
		`impossible shape [0]`:                       {tensor("a", F32, nil, 0)},
		`has 5 dimensions`:                           {tensor("a", F32, one, 1, 1, 1, 1, 1)},
		`has 0 dimensions`:                           {tensor("a", F32, one)},
		`rows of 33 elements; Q8_0 needs a multiple`: {tensor("a", Q8_0, make([]float32, 33), 33)},
		`has 1 values but the shape [2]`:             {tensor("a", F32, one, 2)},
		`stored as ggml type 2`:                      {tensor("a", 2, one, 1)},
		`70000 is beyond what F16 can hold`:          {tensor("a", F16, []float32{70000}, 1)},
		`NaN is no finite number`:                    {tensor("a", Q8_0, append(make([]float32, 31), float32(math.NaN())), 32)},
		`1e+38 has a scale beyond what F16 can hold`: {tensor("a", Q8_0, append(make([]float32, 31), 1e38), 32)},
	} {
		var b bytes.Buffer
		if err := Write(&b, nil, tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
	var b bytes.Buffer
	for want, meta := range map[string]Metadata{
		`key "k" stands twice`: {{"k", Uint(1)}, {"k", Uint(1)}},
		`aligned to 32 bytes`:  {{alignmentKey, Uint(64)}},
	} {
		if err := Write(&b, meta, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
}

// written is a small file.
func written(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	meta := Metadata{{"general.architecture", Text("llama")}, {"n", Uint(7)}}
	if err := Write(&b, meta, []Tensor{tensor("a", F32, []float32{1, 2}, 2), tensor("b", F32, []float32{3}, 1)}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every damage to a header is an error that names the file and, where it is about one, the
// tensor or the key.
func TestHostileFiles(t *testing.T) {
	good := written(t)
	after := func(text string) int { return bytes.Index(good, []byte(text)) + len(text) }
	set := func(at int, v uint64, width int) []byte {
		b := slices.Clone(good)
		var raw [8]byte
		binary.LittleEndian.PutUint64(raw[:], v)
		copy(b[at:], raw[:width])
		return b
	}
	a := after("\x01\x00\x00\x00\x00\x00\x00\x00a") // the dimensions of tensor a
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":            {nil, "does not begin with GGUF"},
		"another file":     {append([]byte("GGML"), good[4:]...), "does not begin with GGUF"},
		"big endian":       {set(4, 0x03000000, 4), "big-endian"},
		"version":          {set(4, 9, 4), "version 9 of GGUF is not supported"},
		"many tensors":     {set(8, 1<<62, 8), "the header claims more"},
		"many keys":        {set(16, 1<<40, 8), "the header claims more"},
		"long key":         {set(24, math.MaxUint64, 8), "the header claims more"},
		"kind":             {set(after("\x01\x00\x00\x00\x00\x00\x00\x00n"), 77, 4), `key "n" has a value of the kind 77`},
		"array of arrays":  {set(after("\x01\x00\x00\x00\x00\x00\x00\x00n"), 9|9<<32, 8), `key "n" has a value of the kind 9`},
		"twice":            {bytes.Replace(good, []byte("\x01\x00\x00\x00\x00\x00\x00\x00b"), []byte("\x01\x00\x00\x00\x00\x00\x00\x00a"), 1), `tensor "a" stands twice`},
		"no UTF-8":         {bytes.Replace(good, []byte("\x01\x00\x00\x00\x00\x00\x00\x00b"), []byte("\x01\x00\x00\x00\x00\x00\x00\x00\xff"), 1), `tensor "\xff" is not UTF-8`},
		"dimensions":       {set(a, 99, 4), `tensor "a" has 99 dimensions`},
		"no dimensions":    {set(a, 0, 4), `tensor`},
		"size 0":           {set(a+4, 0, 8), `tensor "a" has the impossible shape [0]`},
		"huge size":        {set(a+4, 1<<63, 8), `tensor "a" has the impossible shape`},
		"long tensor":      {set(a+4, 1<<30, 8), `tensor "a" has 4294967296 bytes, more than the file has left`},
		"another type":     {set(a+12, 12, 4), `tensor "a" is stored as ggml type 12, which is not supported (supported: [F32 F16 BF16 Q8_0])`},
		"part of a block":  {set(a+12, 8, 4), `tensor "a" has rows of 2 elements; Q8_0 needs a multiple of 32`},
		"overlap":          {set(after("\x01\x00\x00\x00\x00\x00\x00\x00b")+16, 0, 8), `tensor "b" starts at byte 0, where 32 was expected`},
		"gap":              {set(after("\x01\x00\x00\x00\x00\x00\x00\x00b")+16, 64, 8), `tensor "b" starts at byte 64, where 32 was expected`},
		"far offset":       {set(a+16, math.MaxUint64, 8), `tensor "a" starts at byte`},
		"truncated":        {good[:len(good)-30], `tensor "b" ends at byte`},
		"truncated header": {good[:60], "the header claims more"},
		"trailing":         {append(slices.Clone(good), make([]byte, 32)...), "bytes after the last tensor"},
	} {
		_, err := Open("m.gguf", bytes.NewReader(c.file), int64(len(c.file)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "m.gguf") {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
	}
}

// A file that was changed after it was written is found out.
func TestCheckFindsChanges(t *testing.T) {
	meta, tensors := golden()
	var b bytes.Buffer
	if err := Write(&b, meta, tensors); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b.Bytes(), []byte("Grüße"))
	for want, change := range map[string]int{`key "test.string"`: at, `tensor "ties"`: b.Len() - 68} {
		raw := slices.Clone(b.Bytes())
		raw[change] ^= 1
		f, err := Open("m.gguf", bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(meta, tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
}

// What can be read can be written again, and is then read as the same.
func FuzzOpen(f *testing.F) {
	f.Add(written(f))
	if raw, err := os.ReadFile(filepath.Join("testdata", "golden.gguf")); err == nil {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, err := Open("fuzz", bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return
		}
		meta := slices.DeleteFunc(in.Meta, func(p Pair) bool { return p.Key == alignmentKey })
		var tensors []Tensor
		for _, info := range in.Tensors {
			values, err := in.Read(info)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(values, func(v float32) bool { return v-v != 0 }) {
				return // Q8_0 takes finite numbers alone
			}
			info.Type = min(info.Type, F16) // a block's scale need not be what its values ask for
			if info.Type == F16 && slices.ContainsFunc(values, func(v float32) bool { return max(v, -v) > 65504 }) {
				return
			}
			tensors = append(tensors, Tensor{info, func() ([]float32, error) { return values, nil }})
		}
		var out bytes.Buffer
		if err := Write(&out, meta, tensors); err != nil {
			t.Fatal(err)
		}
		again, err := Open("again", bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Check(meta, tensors); err != nil {
			t.Fatal(err)
		}
	})
}

// Any values round trip within half a step, or are refused.
func FuzzRoundTrip(f *testing.F) {
	f.Add(make([]byte, 128))
	f.Fuzz(func(t *testing.T, raw []byte) {
		x := make([]float32, len(raw)/128*32)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		if len(x) == 0 {
			return
		}
		for _, kind := range Types() {
			tensors := []Tensor{tensor("x", kind, x, len(x)/32, 32)}
			var out bytes.Buffer
			if Write(&out, nil, tensors) != nil {
				continue
			}
			in, err := Open("x", bytes.NewReader(out.Bytes()), int64(out.Len()))
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Check(nil, tensors); err != nil {
				t.Fatalf("%v: %v", kind, err)
			}
		}
	})
}
