package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A picture is drawn for the page and for files beside it, and is a table as well: for
// those who cannot see it, and for slides of one's own.
type picture struct {
	Name    string // of its files, without ending
	Title   string
	Caption string // how to read it
	Label   string // what is to be seen, in a sentence with the figures
	Columns []string
	Rows    [][]cell

	height vg.Length
	draw   func(draw.Canvas)
}

// A cell is a word or a figure: rounded on the page, with all its digits in files.
type cell struct{ Shown, Exact string }

func word(s string) cell { return cell{s, s} }

func figure(v float64) cell { return cell{number(v), strconv.FormatFloat(v, 'g', -1, 64)} }

// Pictures are narrow, so that their letters can be read on a phone.
const (
	pictureWidth = vg.Length(400)
	letters      = vg.Length(12)
	resolution   = 192 // of PNG, in dots an inch
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

// themed replaces colours by the variables of the style sheet.
var themed = func() *strings.Replacer {
	var pairs []string
	add := func(c color.NRGBA, name string) { pairs = append(pairs, hexOf(c), "var(--"+name+")") }
	add(ink, "ink")
	add(haze(ink), "ink")
	add(faint, "faint")
	add(ground, "ground")
	for i, c := range series {
		add(c, fmt.Sprint("s", i))
		add(veil(c), fmt.Sprint("s", i))
		add(haze(c), fmt.Sprint("s", i))
	}
	return strings.NewReplacer(pairs...)
}()

// hexOf is a colour as vgsvg writes it, which rounds down where it is see-through.
func hexOf(c color.Color) string {
	r, g, b, a := c.RGBA()
	k := 255 / float64(a)
	return fmt.Sprintf("#%02X%02X%02X", int(float64(r)*k), int(float64(g)*k), int(float64(b)*k))
}

// styles finds the attributes that hold colours and fonts; a label cannot hold one,
// since its quotes are escaped.
var (
	styles = regexp.MustCompile(`style="[^"]*"`)
	texts  = regexp.MustCompile(`(<text [^>]*)>([^<]*)</text>`)
	fonts  = regexp.MustCompile(`font-family:[^;"]*;font-variant:none;font-weight:normal;font-style:normal;`)
)

// fitted tells the width of each text of an SVG, so that where Liberation Sans is not
// there another font takes the room that was planned for it. Scripts that the font does
// not have are left as they are.
func fitted(svg string) string {
	style := written(draw.XLeft, draw.YTop)
	return texts.ReplaceAllStringFunc(svg, func(s string) string {
		part := texts.FindStringSubmatch(s)
		said := html.UnescapeString(part[2])
		if said == "" || strings.ContainsFunc(said, func(r rune) bool { return r > 0x24f && !strings.ContainsRune("−…–×", r) }) {
			return s
		}
		return fmt.Sprintf(`%s textLength="%.4g" lengthAdjust="spacingAndGlyphs">%s</text>`, part[1], style.Width(said).Points(), part[2])
	})
}

// render draws the picture; files get a white ground, the page has its own.
func (p *picture) render(c vg.CanvasSizer, ground bool) {
	to := draw.New(c)
	if ground {
		to.SetColor(color.White)
		to.Fill(to.Rectangle.Path())
	}
	p.draw(draw.Crop(to, 4, -6, 4, -6))
}

func (p *picture) svg(w io.Writer) error {
	c := vgsvg.New(pictureWidth, p.height)
	p.render(c, true)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	_, err := io.WriteString(w, fitted(b.String()))
	return err
}

func (p *picture) png(w io.Writer) error {
	c := vgimg.NewWith(vgimg.UseWH(pictureWidth, p.height), vgimg.UseDPI(resolution))
	p.render(c, true)
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

func (p *picture) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(p.Columns); err != nil {
		return err
	}
	for _, r := range p.Rows {
		var exact []string
		for _, c := range r {
			exact = append(exact, c.Exact)
		}
		if err := out.Write(exact); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Inline is the picture as an element of the page.
func (p *picture) Inline() (template.HTML, error) {
	c := vgsvg.New(pictureWidth, p.height)
	p.render(c, false)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", fmt.Errorf("picture %s: %w", p.Name, err)
	}
	_, body, found := strings.Cut(b.String(), "xlink\">")
	if !found {
		return "", fmt.Errorf("picture %s: the SVG does not begin as expected", p.Name)
	}
	body = styles.ReplaceAllStringFunc(body, func(s string) string {
		return themed.Replace(fonts.ReplaceAllString(s, ""))
	})
	head := fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		pictureWidth.Points(), p.height.Points(), template.HTMLEscapeString(p.Title+". "+p.Label))
	return template.HTML(head + fitted(body)), nil // #nosec: labels are escaped, here and by vgsvg
}

// Thinned are the rows that the page shows; the file has all.
func (p *picture) Thinned() [][]cell {
	const most = 24
	if len(p.Rows) <= most {
		return p.Rows
	}
	var rows [][]cell
	for i := range most {
		rows = append(rows, p.Rows[i*(len(p.Rows)-1)/(most-1)])
	}
	return rows
}

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
	if low > 0 && high >= 7*low {
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
