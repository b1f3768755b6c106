package draw

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// A cell of the terminal has two by four dots of braille, whose bits these are.
var dots = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// Terminal writes the chart in characters: rows lines of curve, at least 2, and
// the axes, none wider than columns where that is at least 30.
func (c Chart) Terminal(w io.Writer, columns, rows int) error {
	top := c.top()
	rows = max(rows, 2)
	labels := make(map[int]string) // by row
	wide := len("step")
	for _, v := range ticks(top, min(5, max(rows/2, 1))) {
		labels[rowOf(v/top, rows)] = Number(v)
		wide = max(wide, len(Number(v)))
	}
	plot := newPlot(max(columns, 30)-wide-2, rows)
	plot.curve(c.curve(2*plot.columns), top)
	for _, m := range c.Marks {
		plot.mark(c.along(m.Step + 1))
	}

	out := bufio.NewWriter(w)
	if c.Title != "" {
		fmt.Fprintf(out, "%*s  %s\n", wide, "", c.Title)
	}
	for r, cells := range plot.cells {
		edge := "│"
		if labels[r] != "" {
			edge = "┤"
		}
		fmt.Fprintf(out, "%*s %s%s\n", wide, labels[r], edge, strings.TrimRight(string(cells), " "))
	}
	line, numbers := c.steps(plot.columns)
	fmt.Fprintf(out, "%*s └%s\n%*s  %s\n", wide, "", line, wide, "step", numbers)
	return out.Flush() // which tells of the first error of all
}

// rowOf is the line of a share of the height.
func rowOf(share float64, rows int) int {
	return int(math.Round((1-share)*float64(4*rows-1))) / 4
}

// steps returns the axis of steps and the numbers below it.
func (c Chart) steps(columns int) (line, numbers string) {
	rule, text := []rune(strings.Repeat("─", columns)), []rune(strings.Repeat(" ", columns))
	free := 0 // the first column that no number has taken
	for _, step := range c.stepTicks(max(columns/12, 2)) {
		at := int(math.Round(c.along(step) * float64(columns-1)))
		name := strconv.Itoa(step)
		from := min(max(at-len(name)/2, 0), columns-len(name))
		if from < free {
			continue
		}
		rule[at] = '┬'
		copy(text[from:], []rune(name))
		free = from + len(name) + 1
	}
	return string(rule), strings.TrimRight(string(text), " ")
}

// A plot is the part of the chart between the axes.
type plot struct {
	columns, rows int
	cells         [][]rune
}

func newPlot(columns, rows int) *plot {
	p := &plot{columns: columns, rows: rows}
	for range rows {
		p.cells = append(p.cells, []rune(strings.Repeat(" ", columns)))
	}
	return p
}

// curve sets the dots along a line.
func (p *plot) curve(line []point, top float64) {
	place := func(q point) (x, y float64) {
		return q.x * float64(2*p.columns-1), (1 - q.y/top) * float64(4*p.rows-1)
	}
	for i, q := range line {
		x1, y1 := place(q)
		x0, y0 := place(line[max(i-1, 0)])
		n := max(math.Ceil(max(math.Abs(x1-x0), math.Abs(y1-y0))), 1)
		for k := 0.0; k <= n; k++ {
			p.dot(x0+(x1-x0)*k/n, y0+(y1-y0)*k/n)
		}
	}
}

func (p *plot) dot(x, y float64) {
	i, j := int(math.Round(x)), int(math.Round(y))
	cell := &p.cells[j/4][i/2]
	if *cell < 0x2800 {
		*cell = 0x2800
	}
	*cell |= dots[j%4][i%2]
}

// mark draws a line from top to bottom where the curve leaves room.
func (p *plot) mark(along float64) {
	i := int(math.Round(along * float64(p.columns-1)))
	for _, row := range p.cells {
		if i >= 0 && i < len(row) && row[i] == ' ' {
			row[i] = '┊'
		}
	}
}
