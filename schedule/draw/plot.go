package draw

import (
	"cmp"
	"image/color"
	"io"
	"math"
	"slices"
)

// A Plot shows lines or dots over an axis of numbers: what is measured when a size
// grows, or where operators stand below a roof.
type Plot struct {
	Title, X, Y string // X and Y name the axes
	Log         bool   // both axes are logarithmic; else they begin at 0
	Lines       []Line
}

// A Line is a row of points, joined unless it has Dots. Coordinates are finite and
// not negative, and positive on logarithmic axes.
type Line struct {
	Label  string // written at its last point; with Dots at each
	Dots   bool
	Points []Point
}

// A Point is a place in a plot.
type Point struct {
	X, Y  float64
	Label string // of a dot
}

// colors are those of the lines in turn.
var colors = []color.RGBA{blue, {0xd5, 0x5e, 0x00, 0xff}, {0x2a, 0x8a, 0x57, 0xff}, {0x88, 0x55, 0xaa, 0xff}}

// SVG writes the plot as a picture of 720 by 360 units.
func (p Plot) SVG(w io.Writer) error { return writeSVG(w, p.paint) }

// scale is an axis from low to high.
type scale struct {
	low, high float64
	log       bool
}

func (s scale) place(v float64) float64 {
	if s.log {
		return math.Log(v/s.low) / math.Log(s.high/s.low)
	}
	return v / s.high
}

func (s scale) ticks(n int) []float64 {
	if !s.log {
		return ticks(s.high, n)
	}
	var all []float64
	for v := s.low; v <= s.high*1.0001; v *= 10 {
		all = append(all, v)
	}
	return all
}

// scaleOf makes the axis that holds all of some values.
func scaleOf(log bool, of func(Point) float64, lines []Line) scale {
	s := scale{low: math.Inf(1), log: log}
	for _, l := range lines {
		for _, p := range l.Points {
			s.low, s.high = min(s.low, of(p)), max(s.high, of(p))
		}
	}
	switch {
	case log && s.high > 0:
		low := math.Floor(math.Log10(s.low))
		s.low, s.high = math.Pow(10, low), math.Pow(10, max(low+1, math.Ceil(math.Log10(s.high))))
	case log || s.high == 0:
		s.low, s.high = 1, 10
	}
	return s
}

func (p Plot) paint(to canvas) {
	xs := scaleOf(p.Log, func(p Point) float64 { return p.X }, p.Lines)
	ys := scaleOf(p.Log, func(p Point) float64 { return p.Y }, p.Lines)
	place := func(x, y float64) point {
		return point{marginLeft + xs.place(x)*plotWidth, marginTop + (1-ys.place(y))*plotHeight}
	}
	bottom := marginTop + plotHeight
	to.text(point{marginLeft, marginTop - 16}, anchorStart, p.Title+" ("+p.Y+")")
	for _, v := range ys.ticks(5) {
		y := place(xs.high, v).y
		to.line([]point{{marginLeft, y}, {marginLeft + plotWidth, y}}, gridWidth, grid)
		to.text(point{marginLeft - 8, y + fontSize/3}, anchorEnd, Number(v))
	}
	for _, v := range xs.ticks(8) {
		x := place(v, ys.high).x
		to.line([]point{{x, bottom}, {x, bottom + 5}}, axisWidth, axis)
		to.text(point{x, bottom + 8 + fontSize}, anchorMiddle, Number(v))
	}
	to.line([]point{{marginLeft, marginTop}, {marginLeft, bottom}, {marginLeft + plotWidth, bottom}}, axisWidth, axis)
	to.text(point{marginLeft + plotWidth/2, height - 8}, anchorMiddle, p.X)
	for i, l := range p.Lines {
		l.paint(to, place, colors[i%len(colors)])
	}
}

func (l Line) paint(to canvas, place func(x, y float64) point, c color.RGBA) {
	if l.Dots {
		l.paintDots(to, place, c)
		return
	}
	var line []point
	for _, p := range l.Points {
		line = append(line, place(p.X, p.Y))
	}
	if line == nil {
		return
	}
	to.line(line, curveWidth, c)
	last := line[len(line)-1]
	to.text(point{last.x - 4, max(last.y-6, marginTop-4)}, anchorEnd, l.Label)
}

// paintDots writes the labels one below the other, from the highest dot down, so that
// dots that lie close together can be told apart; a thin line leads to each.
func (l Line) paintDots(to canvas, place func(x, y float64) point, c color.RGBA) {
	const dot, away, lineHeight = 3.0, 24.0, 1.25 * fontSize
	points := slices.Clone(l.Points)
	slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(b.Y, a.Y) })
	free := 0.0 // height of the next label
	for _, p := range points {
		at := place(p.X, p.Y)
		to.line([]point{{at.x - dot, at.y}, {at.x + dot, at.y}}, 2*dot, c)
		if p.Label == "" {
			continue
		}
		side, anchor := 1.0, anchorStart
		if at.x > marginLeft+plotWidth/2 {
			side, anchor = -1, anchorEnd
		}
		label := point{at.x + side*away, max(at.y, free)}
		free = label.y + lineHeight
		to.line([]point{at, label}, gridWidth, c)
		to.text(point{label.x + side*dot, label.y + fontSize/3}, anchor, p.Label)
	}
}
