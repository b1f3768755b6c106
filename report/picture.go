package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"io"
	"regexp"
	"strconv"
	"strings"

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

// A cell is a word or a figure: rounded on the page, with nine digits in files.
type cell struct{ Shown, Exact string }

func word(s string) cell { return cell{s, s} }

func figure(v float64) cell { return cell{number(v), strconv.FormatFloat(v, 'g', 9, 64)} }

// Pictures are narrow, so that their letters can be read on a phone.
const (
	pictureWidth = vg.Length(400)
	letters      = vg.Length(12)
	resolution   = 192 // of PNG, in dots an inch
)

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
