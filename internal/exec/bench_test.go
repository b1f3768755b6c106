package exec_test

import (
	"fmt"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/kernel"
)

// BenchmarkStep is forward and backward of LoRA training at the widths of
// SmolLM2-135M with 3 of its 30 layers and a twelfth of its vocabulary.
func BenchmarkStep(b *testing.B) {
	s := shape{layers: 3, c: 576, heads: 9, kv: 3, d: 64, f: 1536, v: 4096, rows: 4, length: 256, rank: 8, tied: true}
	for _, recompute := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "recompute"}[recompute]
		b.Run(name, func(b *testing.B) {
			team := kernel.NewTeam(2)
			defer team.Close()
			m := build(s, false)
			c := m.config()
			c.Recompute = recompute
			p := must(exec.NewArena(team).Compile(m.g, c))
			if err := p.Run(); err != nil {
				b.Fatal(err)
			}
			p.SetProfiling(true)
			for b.Loop() {
				if err := p.Run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(p.PlannedBytes())/(1<<20), "MiB")
			for _, u := range p.Profile() {
				if u.Calls > 0 {
					b.Logf("%-22s %5d calls %9.1f µs each", u.Name, u.Calls, float64(u.Time.Microseconds())/float64(u.Calls))
				}
			}
		})
	}
}

// BenchmarkCompile is the price of a program of one more length.
func BenchmarkCompile(b *testing.B) {
	s := shape{layers: 30, c: 64, heads: 4, kv: 2, d: 16, f: 96, v: 64, rows: 1, length: 16, rank: 8, tied: true}
	for b.Loop() {
		m := build(s, false)
		must(exec.NewArena(nil).Compile(m.g, m.config()))
	}
}

// BenchmarkOverhead is the price of an operator that has next to nothing to do: the
// model of the tests has some 80 of them.
func BenchmarkOverhead(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads%d", threads), func(b *testing.B) {
			team := kernel.NewTeam(threads)
			defer team.Close()
			m := build(shape{layers: 2, c: 8, heads: 2, kv: 1, d: 4, f: 8, v: 16, rows: 1, length: 2, rank: 1, tied: true}, false)
			p := must(exec.NewArena(team).Compile(m.g, m.config()))
			for b.Loop() {
				if err := p.Run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(p.Steps()), "ns/operator")
			b.ReportMetric(float64(p.Steps()), "operators")
		})
	}
}
