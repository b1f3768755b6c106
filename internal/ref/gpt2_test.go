package ref

import (
	"math/rand/v2"
	"testing"
)

func TestTwinsOfLayerNormAndGELU(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const n, c, eps = 5, 24, 1e-5
	x, x64 := draw(r, n*c)
	w, w64 := draw(r, c)
	bias, bias64 := draw(r, c)
	dy, dy64 := draw(r, n*c)
	y, stats := make([]float32, n*c), make([]float32, 2*n)
	dx, dw, dbias := make([]float32, n*c), make([]float32, c), make([]float32, c)
	LayerNorm(y, stats, x, w, bias, n, c, eps)
	near(t, "LayerNorm", y, LayerNorm64(x64, w64, bias64, n, c, eps))
	LayerNormBackward(dx, dw, dbias, dy, x, w, stats, n, c, false, false, false)
	dx64, dw64, dbias64 := LayerNormBackward64(dy64, x64, w64, n, c, eps)
	near(t, "dx", dx, dx64)
	near(t, "dw", dw, dw64)
	near(t, "dbias", dbias, dbias64)

	GELU(y, x)
	near(t, "GELU", y, GELU64(x64))
	GELUBackward(dx, dy, x, false)
	near(t, "dx of GELU", dx, GELUBackward64(dy64, x64))
}
