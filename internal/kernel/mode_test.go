package kernel_test

import (
	"math"
	"testing"

	"gotune/internal/kernel"
)

// TestModeIsRestored: a kernel flushes subnormal numbers, Go's own arithmetic
// afterwards does not, also where the kernel panicked.
func TestModeIsRestored(t *testing.T) {
	everywhere(t, func(b *bench) {
		tiny := b.normal(1)
		tiny[0] = 0x1p-130
		y := make([]float32, 1)
		kernel.Scale(b.team, y, tiny, 1, false)
		if flushed := y[0] == 0; flushed != (b.level != kernel.Generic) {
			t.Errorf("the kernel made %v of a subnormal number", y[0])
		}
		if tiny[0]*1.5 == 0 {
			t.Error("subnormal numbers are flushed after a kernel")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("an id outside the table did not panic")
				}
			}()
			kernel.Embedding(b.team, y, kernel.Dense(tiny, len(tiny), 1), []int32{7}, 1)
		}()
		if tiny[0]*1.5 == 0 {
			t.Error("subnormal numbers are flushed after a panic")
		}
	})
}

// TestTiny: (1 + 2⁻¹³)·2⁻¹²⁶ times 1 − 2⁻¹³ lies just below the smallest normal number
// and rounds up to it. ARM looks whether it is subnormal before it rounds.
func TestTiny(t *testing.T) {
	everywhere(t, func(b *bench) {
		want := float32(0x1p-126)
		if b.level == kernel.NEON {
			want = 0
		}
		y := []float32{0}
		kernel.Scale(b.team, y, []float32{(1 + 0x1p-13) * 0x1p-126}, 1-0x1p-13, false)
		if y[0] != want {
			t.Errorf("the product is %x, want %x", y[0], want)
		}
	})
}

// TestWrongShapesPanic: lengths are checked before assembly runs.
func TestWrongShapesPanic(t *testing.T) {
	x := make([]float32, 10)
	ids := make([]int32, 10)
	m := func(rows, cols, stride int) kernel.Matrix {
		return kernel.Matrix{Data: x, Rows: rows, Cols: cols, Stride: stride}
	}
	for name, f := range map[string]func(){
		"Add":                 func() { kernel.Add(nil, x, x[:9], x) },
		"Scale":               func() { kernel.Scale(nil, x, x[:9], 1, false) },
		"MatMul data":         func() { kernel.MatMulNN(nil, m(2, 2, 2), m(2, 6, 6), m(6, 2, 2), false) },
		"MatMul stride":       func() { kernel.MatMulNN(nil, m(2, 2, 1), m(2, 2, 2), m(2, 2, 2), false) },
		"MatMul shapes":       func() { kernel.MatMulNT(nil, m(2, 2, 2), m(2, 3, 3), m(2, 2, 2), false) },
		"RMSNorm":             func() { kernel.RMSNorm(nil, x, x, x, x, 3, 4, 1) },
		"RMSNormBackward":     func() { kernel.RMSNormBackward(nil, x, x[:1], x, x, x, x, 2, 4, false, false, nil) },
		"LayerNorm":           func() { kernel.LayerNorm(nil, x, x[:3], x, x, x, 2, 4, 1) },
		"LayerNormBackward":   func() { kernel.LayerNormBackward(nil, x, nil, x[:3], x, x, x, x, 2, 4, false, false, false) },
		"GELU":                func() { kernel.GELU(nil, x, x[:9], 0) },
		"GELUBackward":        func() { kernel.GELUBackward(nil, x, x, x[:9], 0, false) },
		"Columns":             func() { kernel.Columns(nil, x, 3, x, 5, 3, 3, false) },
		"RoPE odd":            func() { kernel.RoPE(nil, x, x, ids, x, x, 2, 1, 3, 3, false, false) },
		"RoPE wide":           func() { kernel.RoPE(nil, x, x, ids, x, x, 2, 1, 2, 4, false, false) },
		"RoPE length":         func() { kernel.RoPE(nil, x, x, ids, x, x, 3, 1, 4, 4, false, false) },
		"SwiGLU":              func() { kernel.SwiGLU(nil, x, x, x[:3]) },
		"SwiGLUBackward":      func() { kernel.SwiGLUBackward(nil, x, x, x, x, x[:3], false, false) },
		"Embedding":           func() { kernel.Embedding(nil, x, kernel.Dense(x[:6], 3, 2), ids, 6) },
		"EmbeddingBackward":   func() { kernel.EmbeddingBackward(nil, x, x, ids, 6, 2) },
		"Attention":           func() { kernel.Attention(nil, x, x, x, x, x, ids, shape(1, 6, 2, 1, 1)) },
		"Attention heads":     func() { kernel.Attention(nil, x, x, x, x, x, ids, shape(1, 1, 3, 2, 1)) },
		"Attention positions": func() { kernel.Attention(nil, x, x, x, x, x, []int32{0, 2}, shape(1, 2, 1, 1, 1)) },
		"AttentionBackward": func() {
			kernel.AttentionBackward(nil, x, x, x, x, x, x, x, x, x, ids, shape(1, 6, 2, 1, 1), nil)
		},
		"CachedAttention": func() { kernel.CachedAttention(nil, x, x, x, x, 10, 1, shape(1, 1, 1, 1, 1)) },
		"SoftmaxNLL":      func() { kernel.SoftmaxNLL(nil, x, x, x, ids, 3, 4, 1) },
		"SoftmaxNLL id":   func() { kernel.SoftmaxNLL(nil, x, x, x, []int32{4}, 1, 4, 1) },
		"AdamW":           func() { kernel.AdamW(nil, x, x, x, x[:9], 1, 0, 0, 0, 0, 1, 1, 1) },
		"Dropout length":  func() { kernel.Dropout(nil, x, x[:9], 1, 0.5, false) },
		"Dropout p":       func() { kernel.Dropout(nil, x, x, 1, 1, false) },
		"Dropout NaN":     func() { kernel.Dropout(nil, x, x, 1, float32(math.NaN()), false) },
		"SetLevel":        func() { kernel.SetLevel(99) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
