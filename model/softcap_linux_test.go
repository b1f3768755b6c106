package model_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gotune/internal/exec"
	"gotune/model"
)

// BenchmarkSoftCap is forward and backward of a block of Gemma-2-2B, and a twelfth of its head,
// with its soft caps and without, in turns. Norms alone are trained, so that the products are
// those of a frozen base. "ratio" is the median time with caps over that without.
func BenchmarkSoftCap(b *testing.B) {
	for _, length := range []int{256, 1024} {
		b.Run(fmt.Sprintf("T%d", length), func(b *testing.B) {
			var programs [2]*model.Program
			var times [2][]time.Duration
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			arena, m := exec.NewArena(nil), gemmaBlock(b)
			for i, caps := range [2][2]float64{{0, 0}, {50, 30}} {
				programs[i] = cappedProgram(b, arena, m, length, caps[0], caps[1])
			}
			for b.Loop() {
				for i, p := range programs {
					start := threadTime()
					if err := p.Run(); err != nil {
						b.Fatal(err)
					}
					times[i] = append(times[i], threadTime()-start)
				}
			}
			b.ReportMetric(0, "ns/op")
			median := func(i int) float64 {
				slices.Sort(times[i])
				return times[i][len(times[i])/2].Seconds()
			}
			b.ReportMetric(1000*median(0), "ms-without")
			b.ReportMetric(median(1)/median(0), "ratio")
		})
	}
}

// threadTime is what the thread has used of a CPU, so that neighbours matter less.
func threadTime() time.Duration {
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &used) // it cannot fail with these arguments
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// gemmaBlock is one block of Gemma-2-2B, without a window, and a twelfth of its vocabulary.
func gemmaBlock(b *testing.B) *model.Model {
	b.Helper()
	c, err := model.Shape("gemma-2-2b")
	if err != nil {
		b.Fatal(err)
	}
	c.Layers, c.VocabSize, c.SlidingWindow, c.LayerTypes = 1, c.VocabSize/12, 0, nil
	m, err := model.New(c, 1)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func cappedProgram(b *testing.B, arena *exec.Arena, m *model.Model, length int, scores, logits float64) *model.Program {
	b.Helper()
	c := m.Config
	c.AttentionCap, c.LogitsCap = scores, logits
	m, err := model.Assemble(c, m.Weights)
	if err != nil {
		b.Fatal(err)
	}
	norms := slices.DeleteFunc(m.Parameters(), func(p model.Parameter) bool { return len(p.Shape) > 1 })
	p, err := m.Program(arena, model.ProgramOptions{Rows: 1, Length: length, Parameters: norms})
	if err != nil {
		b.Fatal(err)
	}
	for i := range length {
		p.Inputs.IDs[i], p.Inputs.Positions[i], p.Inputs.Targets[i] = int32(i*7%c.VocabSize), int32(i), int32(i*11%c.VocabSize)
	}
	p.Inputs.Scale[0] = 1 / float32(length)
	return p
}
