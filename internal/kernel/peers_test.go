package kernel

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var peers = flag.String("peers", "", "the command of testdata/peers.py, for BenchmarkPeers")

// A peer is the other side of testdata/peers.py.
type peer struct {
	cmd *exec.Cmd
	in  interface {
		Write(p []byte) (int, error)
		Close() error
	}
	out *bufio.Reader
}

func startPeer(b *testing.B, threads int) *peer {
	args := append(strings.Fields(*peers), fmt.Sprint(threads))
	p := &peer{cmd: exec.Command(args[0], args[1:]...)}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Log(p.read(b))
	return p
}

func (p *peer) read(b *testing.B) string {
	line, err := p.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// ask returns the seconds that one product takes by OpenBLAS and by MKL.
func (p *peer) ask(b *testing.B, question string) (seconds [2]float64) {
	fmt.Fprintln(p.in, question)
	if _, err := fmt.Sscan(p.read(b), &seconds[0], &seconds[1]); err != nil {
		b.Fatal(err)
	}
	return seconds
}

func (p *peer) stop() {
	p.in.Close()
	p.cmd.Wait()
}

// A peerShape is a product of the step of a model that is 576 wide (SmolLM2-135M).
type peerShape struct {
	group, layout string
	m, n, k       int
	add           bool
}

func peerShapes() (all []peerShape) {
	for _, m := range []int{1024, 2048} {
		for _, s := range [][2]int{{576, 576}, {192, 576}, {1536, 576}, {576, 1536}} {
			out, in := s[0], s[1]
			all = append(all,
				peerShape{"dense", "NT", m, out, in, false},
				peerShape{"dense", "NN", m, in, out, false},
				peerShape{"dense", "TN", out, in, m, false})
		}
	}
	const vocabulary, width, tokens, chunk = 49152, 576, 1024, 256
	all = append(all,
		peerShape{"head", "NT", chunk, vocabulary, width, false},
		peerShape{"head", "NN", chunk, width, vocabulary, false},
		peerShape{"head", "TN", vocabulary, width, chunk, false})
	for _, rank := range []int{8, 16, 32} {
		all = append(all,
			peerShape{"lora", "NT", tokens, rank, width, false}, // X·Aᵀ
			peerShape{"lora", "NT", tokens, width, rank, true},  // + (X·Aᵀ)·Bᵀ
			peerShape{"lora", "NN", tokens, rank, width, false}, // dY·B
			peerShape{"lora", "NN", tokens, width, rank, true},  // + (dY·B)·A
			peerShape{"lora", "TN", width, rank, tokens, true},  // dB
			peerShape{"lora", "TN", rank, width, tokens, true})  // dA
	}
	return all
}

// BenchmarkPeers times products against OpenBLAS and MKL in turns, a window of each
// per round, and reports medians and the ratio to the better of the two.
func BenchmarkPeers(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads%d", threads), func(b *testing.B) {
			var p *peer
			team := NewTeam(threads)
			defer team.Close()
			for _, s := range peerShapes() {
				name := fmt.Sprintf("%s/%s/M%d/N%d/K%d", s.group, s.layout, s.m, s.n, s.k)
				b.Run(name, func(b *testing.B) {
					if p == nil && *peers != "" {
						p = startPeer(b, threads)
					}
					s.benchmark(b, team, p)
				})
			}
			if p != nil {
				p.stop()
			}
		})
	}
}

func (s peerShape) benchmark(b *testing.B, t *Team, p *peer) {
	f := map[string]func(t *Team, c, a, b Matrix, add bool){"NN": MatMulNN, "NT": MatMulNT, "TN": MatMulTN}[s.layout]
	c, x, y := full(s.m, s.n), full(s.m, s.k), full(s.k, s.n)
	if s.layout[0] == 'T' {
		x = full(s.k, s.m)
	}
	if s.layout[1] == 'T' {
		y = full(s.n, s.k)
	}
	now := wallTime
	if t.Threads() == 1 && threadTime != nil {
		now = threadTime
	}
	runtime.LockOSThread() // whose time is counted
	defer runtime.UnlockOSThread()
	add := 0
	if s.add {
		add = 1
	}
	question := fmt.Sprintf("%s %d %d %d %d", s.layout, s.m, s.n, s.k, add)
	var own, peaks, blas, mkl []float64
	for b.Loop() {
		if p != nil && t.Threads() > 1 {
			time.Sleep(500 * time.Millisecond) // the threads of the others wait in a loop for so long
		}
		var done float64
		peak := window(now, func() { done = t.multiplyAdds(100_000) })
		peaks = append(peaks, done/peak/1e9)
		own = append(own, window(now, func() { f(t, c, x, y, s.add) }))
		if p != nil {
			seconds := p.ask(b, question)
			blas, mkl = append(blas, seconds[0]), append(mkl, seconds[1])
		}
	}
	flops := 2 * float64(s.m) * float64(s.n) * float64(s.k)
	report := func(unit string, times []float64) float64 {
		slices.Sort(times)
		median := times[len(times)/2]
		b.ReportMetric(flops/median/1e9, unit)
		return median
	}
	b.ReportMetric(0, "ns/op")
	mine := report("GFLOP/s", own)
	slices.Sort(peaks)
	b.ReportMetric(100*flops/mine/1e9/peaks[len(peaks)/2], "%peak")
	if p != nil {
		b.ReportMetric(min(report("OpenBLAS", blas), report("MKL", mkl))/mine, "ratio")
	}
}

// window returns the mean time of a call over some 20 ms.
func window(now func() time.Duration, f func()) float64 {
	f()
	const long = 20 * time.Millisecond
	start, calls := now(), 0
	for {
		f()
		calls++
		if took := now() - start; took > long {
			return took.Seconds() / float64(calls)
		}
	}
}
