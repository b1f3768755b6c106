package kernel_test

import (
	"sync"
	"testing"
	"time"

	"gotune/internal/kernel"
)

// TestTeamSleepsAndWakes lets the threads fall asleep between calls.
func TestTeamSleepsAndWakes(t *testing.T) {
	team := kernel.NewTeam(3)
	defer team.Close()
	const n = 1 << 17
	x := make([]float32, n)
	for round := range 30 {
		if round%3 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
		y := make([]float32, n)
		kernel.Fill(y, 1)
		kernel.AddTo(team, x, y)
	}
	for i, v := range x {
		if v != 30 {
			t.Fatalf("x[%d] = %v after 30 additions of 1", i, v)
		}
	}
}

func TestTeamThreads(t *testing.T) {
	if n := (*kernel.Team)(nil).Threads(); n != 1 {
		t.Errorf("a nil team has %d threads, want 1", n)
	}
	(*kernel.Team)(nil).Close()
	for _, n := range []int{-1, 0, 1, 5} {
		team := kernel.NewTeam(n)
		if got := team.Threads(); got != max(n, 1) {
			t.Errorf("NewTeam(%d) has %d threads", n, got)
		}
		team.Close()
		team.Close()
	}
}

// TestNilTeamIsShared: without a team kernels may run in several goroutines.
func TestNilTeamIsShared(t *testing.T) {
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			a := kernel.Matrix{Data: make([]float32, 40*50), Rows: 40, Cols: 50, Stride: 50}
			c := kernel.Matrix{Data: make([]float32, 40*40), Rows: 40, Cols: 40, Stride: 40}
			kernel.Fill(a.Data, 1)
			for range 50 {
				kernel.MatMulNT(nil, c, a, a, false)
			}
			for i, v := range c.Data {
				if v != 50 {
					t.Errorf("element %d is %v, want 50", i, v)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestPeak(t *testing.T) {
	if g := kernel.PeakGFLOPS(nil); !(g > 0) {
		t.Errorf("a peak of %v GFLOP/s", g)
	}
}

// TestNoAllocation: after the first call nothing is allocated.
func TestNoAllocation(t *testing.T) {
	const n, c, heads = 96, 64, 4
	s := shape(2, 48, heads, 2, c/heads)
	wide, narrow := make([]float32, n*c), make([]float32, n*c/2)
	y, row, inv, lse := make([]float32, n*c), make([]float32, c), make([]float32, n), make([]float32, n*heads)
	ids := make([]int32, n)
	m := kernel.Matrix{Data: wide, Rows: n, Cols: c, Stride: c}
	sq := kernel.Matrix{Data: make([]float32, n*n), Rows: n, Cols: n, Stride: n}
	tr := kernel.Matrix{Data: make([]float32, c*c), Rows: c, Cols: c, Stride: c}
	for _, threads := range []int{0, 1, 2} {
		var team *kernel.Team
		if threads > 0 {
			team = kernel.NewTeam(threads)
			defer team.Close()
		}
		all := func() {
			kernel.MatMulNT(team, sq, m, m, false)
			kernel.MatMulTN(team, tr, m, m, true)
			kernel.MatMulNN(team, m, sq, m, false)
			kernel.Add(team, y, wide, wide)
			kernel.Scale(team, y, wide, 2, true)
			kernel.SumSquares(team, wide)
			kernel.RMSNorm(team, y, inv, wide, row, n, c, 1e-5)
			kernel.RMSNormBackward(team, y, row, wide, wide, row, inv, n, c, false, true, nil)
			kernel.RoPE(team, y, wide, ids, row, row, n, heads, c/heads, c/heads, false, false)
			kernel.SwiGLU(team, y, wide, wide)
			kernel.SwiGLUBackward(team, y, y, wide, wide, wide, false, true)
			kernel.Embedding(team, y, kernel.Dense(wide, n, c), ids, n)
			kernel.EmbeddingBackward(team, y, wide, ids, n, c)
			kernel.Attention(team, y, lse, wide, narrow, narrow, ids, s)
			kernel.AttentionBackward(team, y, narrow, narrow, wide, y, lse, wide, narrow, narrow, ids, s, nil)
			kernel.CachedAttention(team, y, wide, narrow, narrow, 3, 5, s)
			kernel.SoftmaxNLL(team, y, inv, lse, ids, n, c, 1)
			kernel.AdamW(team, y, wide, wide, wide, 1e-3, 0.9, 0.999, 1e-8, 0, 0.1, 0.1, 1)
			kernel.Dropout(team, y, wide, 5, 0.1, false)
		}
		if a := testing.AllocsPerRun(20, all); a != 0 {
			t.Errorf("%d threads: %v allocations for each call of everything", threads, a)
		}
	}
}
