package kernel_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gotune/internal/kernel"
)

// A bench runs one test body at one level with one team: what a kernel wrote is
// compared with what the twin in internal/ref says.
type bench struct {
	*testing.T
	level kernel.Level
	team  *kernel.Team
	rand  *rand.Rand
	outs  []out
}

// An out is a slice that a kernel writes into, in the middle of guard values.
type out struct {
	name string
	all  []float32
	n    int
}

const guards = 19

var guard = math.Float32frombits(0x7fc0dead)

// everywhere runs the body for every level of this machine and for no team and
// teams of one, two and three threads, each time with the same random numbers.
func everywhere(t *testing.T, body func(b *bench)) {
	for _, level := range kernel.Levels() {
		for threads := range 4 {
			t.Run(fmt.Sprintf("%v/threads%d", level, threads), func(t *testing.T) {
				defer kernel.SetLevel(level)()
				b := &bench{T: t, level: level, rand: rand.New(rand.NewPCG(7, 11))}
				if threads > 0 {
					b.team = kernel.NewTeam(threads)
					defer b.team.Close()
				}
				body(b)
			})
		}
	}
}

// fenced returns n elements that end at memory which may not be read, where the
// system can do that.
var fenced = func(_ testing.TB, n int) []float32 { return make([]float32, n+3)[3:] }

// normal returns n draws of the normal distribution, not aligned to anything.
func (b *bench) normal(n int) []float32 {
	x := fenced(b.T, n)
	for i := range x {
		x[i] = float32(b.rand.NormFloat64())
	}
	return x
}

// wild is normal with numbers of every size mixed in, subnormal ones and zeros too.
func (b *bench) wild(n int) []float32 {
	x := b.normal(n)
	for i := range x {
		switch b.rand.IntN(8) {
		case 0:
			x[i] *= float32(math.Ldexp(1, b.rand.IntN(40)-20))
		case 1:
			x[i] *= 0x1p-125
		case 2:
			x[i] = 0
		}
	}
	return x
}

// out returns a slice for a result, filled with old if there is any, between guards.
func (b *bench) out(name string, n int, old []float32) []float32 {
	all := make([]float32, n+2*guards)
	for i := range all {
		all[i] = guard
	}
	copy(all[guards:], old)
	b.outs = append(b.outs, out{name, all, n})
	return all[guards : guards+n : guards+n]
}

// want compares the results, in the order in which they were asked for. At a
// vector level every bit must be the same (but for the payload of a NaN); the
// pure-Go level may be off by 2e-5 of the largest element.
func (b *bench) want(what string, wants ...[]float32) {
	b.Helper()
	for i, want := range wants {
		o := b.outs[i]
		got := o.all[guards : guards+o.n]
		for j, x := range slices.Concat(o.all[:guards], o.all[guards+o.n:]) {
			if math.Float32bits(x) != math.Float32bits(guard) {
				b.Fatalf("%s: %s: guard value %d was overwritten", what, o.name, j)
			}
		}
		largest := 0.0
		for _, w := range want {
			if a := math.Abs(float64(w)); !math.IsInf(a, 0) && a > largest {
				largest = a
			}
		}
		for j, w := range want {
			g := got[j]
			same := math.Float32bits(g) == math.Float32bits(w) || g != g && w != w
			if !same && b.level == kernel.Generic {
				same = math.Abs(float64(g)-float64(w)) <= 2e-5*largest+1e-37
			}
			if !same {
				b.Fatalf("%s: %s[%d] = %x (%v), the twin says %x (%v)", what, o.name, j, g, g, w, w)
			}
		}
	}
	b.outs = b.outs[:0]
}

// sizes are lengths around the widths of registers, blocks and chunks.
func sizes() []int {
	s := []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 100, 257, 1000}
	if !testing.Short() {
		s = append(s, 16384, 40_001)
	}
	return s
}

func clone(x []float32) []float32 { return slices.Clone(x) }
