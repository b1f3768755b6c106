package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func fill(n int) []float32 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func full(rows, cols int) Matrix { return Matrix{fill(rows * cols), rows, cols, cols} }

// BenchmarkMatMul reports each product's share of the peak of multiply-adds that
// is measured beside it.
func BenchmarkMatMul(b *testing.B) {
	for _, threads := range []int{1, 2} {
		team := NewTeam(threads)
		defer team.Close()
		for _, s := range []struct{ m, n, k int }{
			{1024, 576, 576}, {1024, 1536, 576}, {1024, 576, 1536}, {128, 49152, 576},
			{2048, 128, 128}, {2048, 384, 128}, {2048, 128, 384}, {256, 1024, 128},
			{1024, 8, 576}, {1024, 576, 8}, {2048, 8, 128}, {2048, 128, 8}, {8, 576, 1024}, {576, 8, 1024},
		} {
			c := full(s.m, s.n)
			for _, p := range []struct {
				name string
				f    func(t *Team, c, a, b Matrix, add bool)
				a, b Matrix
			}{
				{"NT", MatMulNT, full(s.m, s.k), full(s.n, s.k)},
				{"NN", MatMulNN, full(s.m, s.k), full(s.k, s.n)},
				{"TN", MatMulTN, full(s.k, s.m), full(s.k, s.n)},
			} {
				b.Run(fmt.Sprintf("%s/M%d/N%d/K%d/threads%d", p.name, s.m, s.n, s.k, threads), func(b *testing.B) {
					p.f(team, c, p.a, p.b, false)
					for b.Loop() {
						p.f(team, c, p.a, p.b, false)
					}
					gflops := 2 * float64(s.m*s.n*s.k) * float64(b.N) / b.Elapsed().Seconds() / 1e9
					b.ReportMetric(gflops, "GFLOP/s")
					b.ReportMetric(100*gflops/PeakGFLOPS(team), "%peak")
				})
			}
		}
	}
}
