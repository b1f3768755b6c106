//go:build !purego

package kernel

// The functions of neon_arm64.s. Those with 16 in their name work on slices whose
// length is a multiple of 16.

//go:noescape
func gemm16(c *float32, cr int, a *float32, ar, ac int, b *float32, br, m, k int, add bool)

//go:noescape
func gemm8(c *float32, cr int, a *float32, ar, ac int, b *float32, br, m, k int, add bool)

//go:noescape
func gemvNEON(c, x, b []float32, br, n, k int, add bool)

//go:noescape
func pack16(dst, b *float32, br, k int)

//go:noescape
func transpose4(dst []float32, dr int, src []float32, sr, cols int)

//go:noescape
func prefetchNEON(x []float32, stride, n, d int)

//go:noescape
func add16(dst, a, b []float32)

//go:noescape
func scale16(dst, x []float32, s float32, add bool)

//go:noescape
func dot16(lanes *[16]float32, x, y []float32)

//go:noescape
func dots16(lanes *[16]float32, x, y, z []float32)

//go:noescape
func sumSquares16(lanes *[16]float64, x []float32)

//go:noescape
func exp16(dst, x []float32)

//go:noescape
func normalize16(y, x, w []float32, inv float32)

//go:noescape
func normBack16(dx, dy, w, x []float32, inv, c float32, add bool)

//go:noescape
func normBackW16(dw, dy, x []float32, inv float32)

//go:noescape
func rotate16(ya, yb, a, b, cos, sin []float32, inverse, add bool)

//go:noescape
func swiglu16(y, gate, up []float32)

//go:noescape
func swigluBack16(dgate, dup, dy, gate, up []float32, addG, addU bool)

//go:noescape
func largest16(lanes *[16]float32, x []float32, s float32)

//go:noescape
func expSum16(lanes *[16]float32, x []float32, s, top float32)

//go:noescape
func softmaxBack16(x, dp []float32, s, lse, delta float32)

//go:noescape
func adamw16(p, g, m, v []float32, c *adamwConstants)

//go:noescape
func dropout16(y, x []float32, d *dropoutConstants, first uint32, add bool)

func peakRounds(n int)

func setMode(mode uint32) (old uint32)

func pause()
