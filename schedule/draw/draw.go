// Package draw shows the learning rates of a run as a curve: in a terminal, as
// SVG, as PNG, and as a table in CSV. It knows nothing of schedules: it draws the
// rates that it is given, of one schedule or of several stages in a row. A [Plot]
// shows other measurements in the same manner.
package draw

import (
	"image/color"
	"math"
	"strconv"
	"strings"
)

// A Chart is a curve of rates with its labels. Steps are counted from 1 in what it
// draws, as in the metrics of a run.
type Chart struct {
	Title string
	Rates []float64 // learning rate of each step, from the first one of the run; finite and not negative
	Marks []Mark    // places that are set off by a vertical line
}

// A Mark is a place on the axis of steps, such as the first step of a stage.
type Mark struct {
	Step  int // index into Rates
	Label string
}

// A point is a place in a picture or, before it is scaled, a position from 0 to
// 1 along the steps and a rate.
type point struct{ x, y float64 }

// curve returns the rates as a line. Where there are more than two steps a column,
// of each column the lowest and the highest are kept, so that no restart is lost.
func (c Chart) curve(columns int) []point {
	n := len(c.Rates)
	switch {
	case n == 0:
		return nil
	case n == 1:
		return []point{{0, c.Rates[0]}, {1, c.Rates[0]}}
	}
	at := func(i int) point { return point{float64(i) / float64(n-1), c.Rates[i]} }
	var line []point
	if n <= 2*columns {
		for i := range n {
			line = append(line, at(i))
		}
		return line
	}
	for k := range columns {
		lo, hi := k*n/columns, (k+1)*n/columns
		least, most := lo, lo
		for i := lo; i < hi; i++ {
			if c.Rates[i] < c.Rates[least] {
				least = i
			}
			if c.Rates[i] > c.Rates[most] {
				most = i
			}
		}
		line = append(line, at(min(least, most)), at(max(least, most)))
	}
	line[0], line[len(line)-1] = at(0), at(n-1)
	return line
}

// top is the upper end of the axis of rates.
func (c Chart) top() float64 {
	top := 0.0
	for _, r := range c.Rates {
		top = max(top, r)
	}
	if top == 0 {
		return 1
	}
	return top
}

// ticks returns about n round values from 0 to high.
func ticks(high float64, n int) []float64 {
	if !(high > 0) || math.IsInf(high, 1) || n < 1 {
		return []float64{0}
	}
	size := math.Pow(10, math.Floor(math.Log10(high/float64(n))))
	step := 10 * size
	for _, f := range []float64{1, 2, 5} {
		if high/(f*size) <= float64(n)*1.0001 {
			step = f * size
			break
		}
	}
	var all []float64
	for i := 0; float64(i)*step <= high*1.0001; i++ {
		all = append(all, float64(i)*step)
	}
	return all
}

// stepTicks returns about n round numbers of steps, among them the first and not
// so close to it that labels would run into each other.
func (c Chart) stepTicks(n int) []int {
	all := []int{1}
	last := float64(len(c.Rates))
	for _, v := range ticks(last, n) {
		if v == math.Trunc(v) && v > 1 && v-1 > last/float64(3*n) {
			all = append(all, int(v))
		}
	}
	return all
}

// along is the position of a step, counted from 1, from 0 to 1.
func (c Chart) along(step int) float64 {
	return float64(step-1) / float64(max(len(c.Rates)-1, 1))
}

// Number writes a rate with up to three digits: 0.002, 3e-4, 0.
func Number(v float64) string {
	if v == 0 || v >= 0.001 && v < 1e5 {
		return strconv.FormatFloat(mustParse(strconv.FormatFloat(v, 'g', 3, 64)), 'f', -1, 64)
	}
	mantissa, exponent, found := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
	if !found {
		return mantissa // NaN or Inf
	}
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	sign := strings.TrimRight(exponent[:1], "+")
	return mantissa + "e" + sign + strings.TrimLeft(exponent[1:], "0")
}

// mustParse reads a number that was just written.
func mustParse(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

// The picture is laid out in these units, which are pixels of SVG.
const (
	width, height                        = 720.0, 360.0
	marginLeft, marginRight              = 64.0, 20.0
	marginTop, marginBottom              = 40.0, 48.0
	fontSize                             = 12.0
	curveWidth, axisWidth, gridWidth     = 2.0, 1.0, 0.75
	plotWidth                            = width - marginLeft - marginRight
	plotHeight                           = height - marginTop - marginBottom
	anchorStart, anchorMiddle, anchorEnd = 0.0, 0.5, 1.0
)

var (
	white = color.RGBA{0xff, 0xff, 0xff, 0xff}
	ink   = color.RGBA{0x33, 0x33, 0x33, 0xff}
	grid  = color.RGBA{0xdd, 0xdd, 0xdd, 0xff}
	axis  = color.RGBA{0x88, 0x88, 0x88, 0xff}
	blue  = color.RGBA{0x1f, 0x6f, 0xb4, 0xff}
)

// A canvas takes the parts of a picture. Places are in the units of the layout.
type canvas interface {
	line(points []point, width float64, c color.RGBA)
	// text writes s on a line through at, of which the share anchor lies left of it.
	text(at point, anchor float64, s string)
}

// paint puts the picture together.
func (c Chart) paint(to canvas) {
	top := c.top()
	place := func(p point) point {
		return point{marginLeft + p.x*plotWidth, marginTop + (1-p.y/top)*plotHeight}
	}
	bottom := marginTop + plotHeight
	to.text(point{marginLeft, marginTop - 16}, anchorStart, c.Title)
	for _, v := range ticks(top, 5) {
		y := place(point{0, v}).y
		to.line([]point{{marginLeft, y}, {marginLeft + plotWidth, y}}, gridWidth, grid)
		to.text(point{marginLeft - 8, y + fontSize/3}, anchorEnd, Number(v))
	}
	for _, step := range c.stepTicks(8) {
		x := place(point{c.along(step), 0}).x
		to.line([]point{{x, bottom}, {x, bottom + 5}}, axisWidth, axis)
		to.text(point{x, bottom + 8 + fontSize}, anchorMiddle, strconv.Itoa(step))
	}
	for _, m := range c.Marks {
		x := place(point{c.along(m.Step + 1), 0}).x
		to.line([]point{{x, marginTop}, {x, bottom}}, axisWidth, axis)
		to.text(point{x + 4, marginTop + fontSize}, anchorStart, m.Label)
	}
	to.line([]point{{marginLeft, marginTop}, {marginLeft, bottom}, {marginLeft + plotWidth, bottom}}, axisWidth, axis)
	to.text(point{marginLeft + plotWidth/2, height - 8}, anchorMiddle, "step")
	var line []point
	for _, p := range c.curve(plotWidth) {
		line = append(line, place(p))
	}
	to.line(line, curveWidth, blue)
}
