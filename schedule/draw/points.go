package draw

import (
	"bufio"
	"fmt"
	"io"
)

// Points writes a line for each place of the curve worth knowing: its first step,
// where it first meets its peak, the marks, its lowest rate after the peak and its
// last step, and the mean, which says how much of the peak the run gets in all.
func (c Chart) Points(w io.Writer) error {
	if len(c.Rates) == 0 {
		return nil
	}
	last, peak, sum := len(c.Rates)-1, 0, 0.0
	for i, r := range c.Rates {
		sum += r / float64(len(c.Rates))
		if r > c.Rates[peak] {
			peak = i
		}
	}
	lowest := peak
	for i := peak; i <= last; i++ {
		if c.Rates[i] < c.Rates[lowest] {
			lowest = i
		}
	}
	out := bufio.NewWriter(w)
	line := func(name string, step int) {
		fmt.Fprintf(out, "%-12s %-10s step %d\n", name, Number(c.Rates[step]), step+1)
	}
	line("first", 0)
	line("peak", peak)
	for _, m := range c.Marks {
		if m.Step >= 0 && m.Step <= last {
			line(m.Label, m.Step)
		}
	}
	if lowest != last {
		line("lowest after", lowest)
	}
	line("last", last)
	if c.Rates[peak] > 0 {
		fmt.Fprintf(out, "%-12s %-10s %.0f %% of the peak over %d steps\n", "mean", Number(sum), 100*sum/c.Rates[peak], len(c.Rates))
	}
	return out.Flush() // which tells of the first error of all
}
