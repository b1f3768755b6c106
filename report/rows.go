package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A row of a picture of intervals: a line of text, and the interval below it.
type row struct {
	label, value   string
	mid, low, high float64
	dots           []float64 // single seeds
	color          color.NRGBA
	mark           draw.GlyphDrawer
}

// rows draws intervals one below the other, over a common axis. It is a plotter.
type rows struct {
	all       []row
	low, high float64 // bounds of the axis; what lies beyond ends in an arrow
	margin    float64 // half the width of the band round 0; 0 for none
	zero      bool    // a line at 0
	stretched bool    // the axis grows narrower away from 0, both ways
}

const rowHeight = vg.Length(35)

// plot is the picture's drawing, with the axis below.
func (r rows) picture(x string) (vg.Length, func(draw.Canvas)) {
	p := newPlot(x, "")
	p.HideY()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = r.low, r.high, -float64(len(r.all)), 0
	p.X.Padding = 2
	if r.stretched {
		p.X.Scale, p.X.Tick.Marker = stretched{}, plot.TickerFunc(stretchedTicks)
	}
	p.Add(r)
	return rowHeight*vg.Length(len(r.all)) + 42, p.Draw
}

// Plot draws the rows.
func (r rows) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	if r.margin > 0 {
		left, right := x(max(-r.margin, r.low)), x(min(r.margin, r.high))
		c.FillPolygon(haze(ink), []vg.Point{{X: left, Y: c.Min.Y}, {X: right, Y: c.Min.Y}, {X: right, Y: c.Max.Y}, {X: left, Y: c.Max.Y}})
	}
	if r.zero && r.low <= 0 && r.high >= 0 {
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: 0.8}, x(0), c.Min.Y, x(0), c.Max.Y)
	}
	for i, w := range r.all {
		w.plot(c, x, y(-float64(i)), r.low, r.high)
	}
}

func (w row) plot(c draw.Canvas, x func(float64) vg.Length, top vg.Length, low, high float64) {
	left, right := written(draw.XLeft, draw.YTop), written(draw.XRight, draw.YTop)
	room := int((c.Max.X-c.Min.X-right.Width(w.value))/(letters*0.53)) - 2
	c.FillText(left, vg.Point{X: c.Min.X, Y: top - 3}, short(w.label, max(room, 8)))
	c.FillText(right, vg.Point{X: c.Max.X, Y: top - 3}, w.value)
	at := top - rowHeight*0.70
	line := draw.LineStyle{Color: w.color, Width: 1.8}
	a, b := min(max(w.low, low), high), max(min(w.high, high), low)
	c.StrokeLine2(line, x(a), at, x(b), at)
	arrow := func(from vg.Length, step vg.Length) {
		c.StrokeLines(line, []vg.Point{{X: from - step, Y: at - 3}, {X: from, Y: at}, {X: from - step, Y: at + 3}})
	}
	if w.low < low {
		arrow(x(low), -5)
	} else {
		c.StrokeLine2(line, x(a), at-3.5, x(a), at+3.5)
	}
	if w.high > high {
		arrow(x(high), 5)
	} else {
		c.StrokeLine2(line, x(b), at-3.5, x(b), at+3.5)
	}
	for _, d := range w.dots {
		if d >= low && d <= high {
			c.DrawGlyph(draw.GlyphStyle{Color: w.color, Radius: 1.5, Shape: draw.CircleGlyph{}}, vg.Point{X: x(d), Y: at - 6.5})
		}
	}
	if w.mid >= low && w.mid <= high {
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: w.color, Radius: 3.6, Shape: w.mark}, vg.Point{X: x(w.mid), Y: at})
	}
}

// stretched is the scale of the inverse hyperbolic sine: even near 0, logarithmic far out.
type stretched struct{}

// Normalize returns the place of x between low and high, from 0 to 1.
func (stretched) Normalize(low, high, x float64) float64 {
	a, b := math.Asinh(low), math.Asinh(high)
	return (math.Asinh(x) - a) / (b - a)
}

// stretchedTicks marks 0, 1, 3, 10, 30 … either way, of many every second.
func stretchedTicks(low, high float64) []plot.Tick {
	ticks := []plot.Tick{{Value: 0, Label: "0"}}
	wide := math.Log10(max(high, 10))
	for e := 0.0; e <= wide; e += math.Ceil(wide / 4) {
		for _, v := range []float64{math.Pow(10, e), 3 * math.Pow(10, e)} {
			if v <= high && (wide <= 3 || v < 3*math.Pow(10, e)) {
				ticks = append(ticks, plot.Tick{Value: v, Label: number(v)}, plot.Tick{Value: -v, Label: number(-v)})
			}
		}
	}
	return ticks
}

// span is an axis that holds some values, with a little room.
func span(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if drawable(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	switch {
	case low > high:
		return -1, 1
	case low == high:
		room := max(math.Abs(low)*0.1, 1e-9)
		return low - room, high + room
	}
	room := (high - low) * 0.04
	return low - room, high + room
}

// largest is the greatest number that is drawn: beyond it, differences overflow.
const largest = 1e30

// drawable reports whether a number can be drawn.
func drawable(v float64) bool { return !math.IsNaN(v) && math.Abs(v) <= largest }
