package report

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// newPlot makes axes with a grid.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		sans(&a.Label.TextStyle)
		sans(&a.Tick.Label)
		a.Label.Padding = 3
		a.Color, a.Tick.Color = ink, ink
		a.Tick.Length = 4
		a.Tick.Marker = plot.TickerFunc(linearTicks)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	grid.Horizontal.Width, grid.Vertical.Width = 0.6, 0.6
	p.Add(grid)
	return p
}

func sans(s *text.Style) {
	s.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: letters}
	s.Color = ink
}

// written is a style of text with its anchor.
func written(x text.XAlignment, y text.YAlignment) text.Style {
	s := text.Style{XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler}
	sans(&s)
	return s
}

// linearTicks marks multiples of 1, 2 or 5 times a power of ten, about five of them.
func linearTicks(low, high float64) []plot.Tick {
	const about = 5
	step := math.Pow(10, math.Floor(math.Log10((high-low)/about)))
	for _, m := range []float64{2, 2.5, 2} {
		if (high-low)/step > about {
			step *= m
		}
	}
	var ticks []plot.Tick
	for k := math.Ceil(low / step); k*step <= high && len(ticks) < 2*about; k++ {
		ticks = append(ticks, plot.Tick{Value: k * step, Label: number(k * step)})
	}
	return ticks
}

// logTicks marks 1, 2 and 5 of every decade, or the decades alone where there are many.
func logTicks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	for e := first; e <= last; e++ {
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow(10, e)
			if v < low*0.999 || v > high*1.001 {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 || last-first <= 2 {
				t.Label = number(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// logarithmic makes an axis logarithmic where its values are positive and spread wide.
func logarithmic(a *plot.Axis, values []float64) {
	low, high := math.Inf(1), 0.0
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	if low > 0 && high >= 2.9*low {
		a.Scale, a.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	}
}

// A key explains how arms are drawn, below a plot.
type key struct {
	names  []string
	thumbs [][]plot.Thumbnailer
}

const keyLine = vg.Length(15)

func (k *key) add(name string, thumbs ...plot.Thumbnailer) {
	k.names, k.thumbs = append(k.names, name), append(k.thumbs, thumbs)
}

// columns is 2 where the names are short.
func (k *key) columns() int {
	for _, n := range k.names {
		if len([]rune(n)) > 24 {
			return 1
		}
	}
	return min(max(len(k.names), 1), 2)
}

func (k *key) height() vg.Length {
	n := k.columns()
	return keyLine * vg.Length((len(k.names)+n-1)/n)
}

// below draws a plot with the key under it.
func (k *key) below(p *plot.Plot) func(draw.Canvas) {
	return func(c draw.Canvas) {
		p.Draw(draw.Crop(c, 0, 0, k.height()+6, 0))
		n := k.columns()
		rows := (len(k.names) + n - 1) / n
		width := (c.Max.X - c.Min.X) / vg.Length(n)
		style := written(draw.XLeft, draw.YCenter)
		for i, name := range k.names {
			x := c.Min.X + 8 + width*vg.Length(i/rows)
			y := c.Min.Y + keyLine*vg.Length(rows-i%rows) - keyLine/2
			icon := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: x, Y: y - 5}, Max: vg.Point{X: x + 26, Y: y + 5}}}
			for _, t := range k.thumbs[i] {
				t.Thumbnail(&icon)
			}
			c.FillText(style, vg.Point{X: x + 32, Y: y}, short(name, 60/n))
		}
	}
}
