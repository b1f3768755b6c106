package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The colours of pictures. On the page each is a variable of the style sheet, which has
// other values in the dark; in files they are these. Those of the series are Okabe and
// Ito's, which people with any sight of colours tell apart; dashes and marks differ too.
var (
	ink    = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	faint  = color.NRGBA{0xdd, 0xdd, 0xdd, 0xff}
	ground = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	series = []color.NRGBA{
		{0x00, 0x72, 0xb2, 0xff}, // blue
		{0xd5, 0x5e, 0x00, 0xff}, // vermilion
		{0x00, 0x9e, 0x73, 0xff}, // green
		{0xcc, 0x79, 0xa7, 0xff}, // purple
		{0xe6, 0x9f, 0x00, 0xff}, // orange
		{0x56, 0xb4, 0xe9, 0xff}, // sky
	}
	dashes = [][]vg.Length{nil, {6, 2.5}, {1.5, 2}, {8, 2.5, 1.5, 2.5}, {3, 3}}
	marks  = []draw.GlyphDrawer{
		draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, ring{}, cross{}, diamond{}, hollow{},
	}
)

// seriesColor and seriesLine are how the n-th of several arms is drawn.
func seriesColor(n int) color.NRGBA { return series[n%len(series)] }

func seriesLine(n int) draw.LineStyle {
	return draw.LineStyle{Color: seriesColor(n), Width: 1.6, Dashes: dashes[n%len(dashes)]}
}

func seriesMark(n int) draw.GlyphStyle {
	return draw.GlyphStyle{Color: seriesColor(n), Radius: 3.2, Shape: marks[n%len(marks)]}
}

// veil makes a colour see-through, for bands; where there are many of them, more so.
func veil(c color.NRGBA) color.NRGBA { c.A = 0x33; return c }
func haze(c color.NRGBA) color.NRGBA { c.A = 0x18; return c }

// A ring is a mark that is empty inside, where lines behind it do not show.
type ring struct{}

// DrawGlyph draws the mark.
func (ring) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	var p vg.Path
	p.Move(vg.Point{X: at.X + s.Radius, Y: at.Y})
	p.Arc(at, s.Radius, 0, 2*math.Pi)
	p.Close()
	c.SetColor(ground)
	c.Fill(p)
	c.SetLineStyle(draw.LineStyle{Color: s.Color, Width: 1.6})
	c.Stroke(p)
}

// A cross is a mark of two lines.
type cross struct{}

// DrawGlyph draws the mark.
func (cross) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	r := s.Radius
	c.StrokeLines(draw.LineStyle{Color: s.Color, Width: 2},
		[]vg.Point{{X: at.X - r, Y: at.Y - r}, {X: at.X + r, Y: at.Y + r}}, []vg.Point{{X: at.X - r, Y: at.Y + r}, {X: at.X + r, Y: at.Y - r}})
}

// A diamond is a square on its tip.
type diamond struct{}

// DrawGlyph draws the mark.
func (diamond) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	r := s.Radius * 1.35
	c.FillPolygon(s.Color, []vg.Point{{X: at.X - r, Y: at.Y}, {X: at.X, Y: at.Y + r}, {X: at.X + r, Y: at.Y}, {X: at.X, Y: at.Y - r}})
}

// A hollow mark is a square that is empty inside.
type hollow struct{}

// DrawGlyph draws the mark.
func (hollow) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	r := s.Radius * 0.9
	corners := []vg.Point{{X: at.X - r, Y: at.Y - r}, {X: at.X + r, Y: at.Y - r}, {X: at.X + r, Y: at.Y + r}, {X: at.X - r, Y: at.Y + r}}
	c.FillPolygon(ground, corners)
	c.StrokeLines(draw.LineStyle{Color: s.Color, Width: 1.6}, append(corners, corners[:2]...))
}
