package hf

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// file makes a safetensors file from a header and data.
func file(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestWriteThenRead(t *testing.T) {
	tensors := map[string]Tensor{
		"b.weight": {Shape: []int{2, 3}, Data: []float32{1, -2, 3.5, 0, 1e-3, 7}},
		"a":        {Shape: []int{}, Data: []float32{0.5}},
	}
	for _, d := range []DType{F32, F16, BF16} {
		var first, second bytes.Buffer
		if err := Write(&first, tensors, d); err != nil {
			t.Fatal(err)
		}
		if err := Write(&second, tensors, d); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("two writes differ (%v)", err)
		}
		got, err := ReadFS(fstest.MapFS{"m": {Data: first.Bytes()}}, "m", "m")
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range tensors {
			for i, v := range w.Data {
				switch d {
				case F16:
					v = WidenF16(RoundF16(v))
				case BF16:
					v = math.Float32frombits(uint32(RoundBF16(v)) << 16)
				}
				if g := got[name].Data[i]; g != v {
					t.Errorf("%s: %s[%d] = %g, want %g", d, name, i, g, v)
				}
			}
		}
	}
}

// A tensor in BF16 can be read as it is stored.
func TestReadBF16(t *testing.T) {
	raw := file(`{"x":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},"y":{"dtype":"F32","shape":[1],"data_offsets":[6,10]}}`, 0x80, 0x3f, 0x01, 0x00, 0xc1, 0xff, 0, 0, 0, 0)
	f, err := Open("m", bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := f.ReadBF16(f.Entries()[0])
	if err != nil || !slices.Equal(got, []uint16{0x3f80, 0x0001, 0xffc1}) {
		t.Errorf("read %#04x, %v", got, err)
	}
	if _, _, err := f.ReadBF16(f.Entries()[1]); err == nil || !strings.Contains(err.Error(), `tensor "y" is stored as F32`) {
		t.Errorf("reading another type gave %v", err)
	}
}

// Values by hand from the definitions of the two formats.
func TestHalfFormats(t *testing.T) {
	for bits, want := range map[uint16]float32{
		0x0000: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 0x1p-24, 0x03ff: 0x1p-14 - 0x1p-24, 0x7c00: float32(math.Inf(1)), 0x3555: 0.333251953125,
	} {
		if got := WidenF16(bits); got != want {
			t.Errorf("half %#04x = %g, want %g", bits, got, want)
		}
	}
	for v, want := range map[float32]uint16{
		1: 0x3f80, 1 + 0x1p-8: 0x3f80, 1 + 3*0x1p-8: 0x3f82, 1 + 0x1p-8 + 0x1p-20: 0x3f81, -3: 0xc040, math.MaxFloat32: 0x7f80,
	} {
		if got := RoundBF16(v); got != want {
			t.Errorf("bf16 of %v = %#04x, want %#04x", v, got, want)
		}
	}
	if got := RoundBF16(math.Float32frombits(0x7f800001)); got&0x7fff <= 0x7f80 {
		t.Errorf("a NaN became %#04x", got)
	}
}

// Every half that is a number comes back from the float32 that equals it, and what lies
// between two goes to the nearer, of two equally near to the even one.
func TestRoundF16(t *testing.T) {
	for h := range uint16(0x7c00) {
		v, next := WidenF16(h), WidenF16(h+1)
		if got := RoundF16(v); got != h {
			t.Fatalf("half %#04x is %g, which rounds to %#04x", h, v, got)
		}
		if h == 0x7bff {
			next = 65536 // where the next would be
		}
		middle, even := (v+next)/2, h+h&1
		for _, c := range []struct {
			v    float32
			want uint16
		}{
			{math.Nextafter32(middle, 0), h}, {middle, even}, {math.Nextafter32(middle, next), h + 1}, {-middle, 0x8000 | even},
		} {
			if got := RoundF16(c.v); got != c.want {
				t.Fatalf("%g rounds to %#04x, want %#04x", c.v, got, c.want)
			}
		}
	}
	inf := float32(math.Inf(-1))
	if got := RoundF16(inf); got != 0xfc00 {
		t.Errorf("−∞ became %#04x", got)
	}
	if got := RoundF16(float32(math.NaN())); got&0x7fff <= 0x7c00 {
		t.Errorf("a NaN became %#04x", got)
	}
}

// A number beyond what float16 holds is refused by the name of its tensor.
func TestWriteBeyondF16(t *testing.T) {
	tensors := map[string]Tensor{"a": {Shape: []int{2}, Data: []float32{1, -65520}}}
	var b bytes.Buffer
	if err := Write(&b, tensors, F16); err == nil || !strings.Contains(err.Error(), `tensor "a" has the value -65520, which F16 cannot hold`) {
		t.Errorf("got %v", err)
	}
	tensors["a"].Data[1] = -65519
	if err := Write(&b, tensors, F16); err != nil {
		t.Error(err)
	}
}

func TestHostileFiles(t *testing.T) {
	one := `{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":         {nil, "no safetensors header"},
		"huge length":   {append(bytes.Repeat([]byte{0xff}, 8), one...), "claims 18446744073709551615 bytes"},
		"long header":   {file(one)[:20], "truncated"},
		"truncated":     {file(one, 0, 0), `tensor "x" ends at byte 4`},
		"trailing":      {file(one, 0, 0, 0, 0, 9), "1 bytes after the last tensor"},
		"twice":         {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 0, 0, 0, 0), `"x" stands twice`},
		"more header":   {file(one+`{}`, 0, 0, 0, 0), "goes on after its JSON object"},
		"overlap":       {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 0, 0, 0, 0, 0, 0), "overlap or leave a gap"},
		"wrong shape":   {file(`{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "needs 12 bytes"},
		"overflow":      {file(`{"x":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "impossible shape"},
		"hole":          {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, make([]byte, 12)...), "tensor \"y\" starts at byte 8, where 4 was expected"},
		"backwards":     {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 0, 0, 0, 0), `tensor "x"`},
		"not UTF-8":     {file("{\"x\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 0, 0, 0, 0), "the header is not UTF-8"},
		"deep JSON":     {file(`{"x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`), `tensor "x" in the header`},
		"shape of text": {file(`{"x":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, 0, 0, 0, 0), `tensor "x" in the header`},
		"negative":      {file(`{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "impossible shape"},
		"not an object": {file(`[1]`), "not a JSON object"},
		"far offset":    {file(`{"x":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775800,9223372036854775807]}}`, 1), "truncated"},
	} {
		_, err := Open("m.safetensors", bytes.NewReader(c.file), int64(len(c.file)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "m.safetensors") {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
	}
	f, err := Open("m", bytes.NewReader(file(`{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, make([]byte, 8)...)), 8+54+8)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAll(); err == nil || !strings.Contains(err.Error(), `"I64" is not supported`) {
		t.Errorf("an integer tensor gave %v", err)
	}
}

// Empty tensors may stand anywhere, in whatever order the header names them.
func TestEmptyTensors(t *testing.T) {
	header := `{"full":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"empty":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}`
	raw := file(header, 0, 0, 0x80, 0x3f)
	f, err := Open("m", bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	all, err := f.ReadAll()
	if err != nil || len(all["empty"].Data) != 0 || !slices.Equal(all["full"].Data, []float32{1}) {
		t.Errorf("read %v, %v", all, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(file(`{"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, 0, 0x3c, 0, 0xc0))
	f.Add(file(`{"__metadata__":{"format":"pt"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := Open("fuzz", bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		all, err := in.ReadAll()
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, all, F32); err != nil {
			t.Fatal(err)
		}
		again, err := Open("again", bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		back, err := again.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		same := cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
		for name, want := range all {
			if d := cmp.Diff(want.Data, back[name].Data, same, cmpopts.EquateEmpty()); d != "" {
				t.Fatal(d)
			}
		}
	})
}
