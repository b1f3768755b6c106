package draw

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// pixels is how many there are to a unit of the layout, in each direction.
const pixels = 2

// PNG writes the chart as a picture of 1440 by 720 pixels.
func (c Chart) PNG(w io.Writer) error {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return fmt.Errorf("reading the font of pictures: %w", err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: fontSize * pixels, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return fmt.Errorf("reading the font of pictures: %w", err)
	}
	b := &bitmap{image.NewRGBA(image.Rect(0, 0, width*pixels, height*pixels)), face}
	draw.Draw(b.image, b.image.Bounds(), image.NewUniform(white), image.Point{}, draw.Src)
	c.paint(b)
	return png.Encode(w, b.image)
}

type bitmap struct {
	image *image.RGBA
	face  font.Face
}

// line fills a rectangle around each segment and a disc around each point
// between two. All of them turn the same way, so that where they overlap they add
// up and do not cancel.
func (b *bitmap) line(points []point, width float64, c color.RGBA) {
	size := b.image.Bounds().Size()
	r := vector.NewRasterizer(size.X, size.Y)
	half := width * pixels / 2
	for i, p := range points {
		p = point{p.x * pixels, p.y * pixels}
		if i > 0 {
			q := point{points[i-1].x * pixels, points[i-1].y * pixels}
			length := math.Hypot(p.x-q.x, p.y-q.y)
			if length == 0 {
				continue
			}
			nx, ny := (p.y-q.y)/length*half, (q.x-p.x)/length*half
			polygon(r, point{q.x + nx, q.y + ny}, point{q.x - nx, q.y - ny}, point{p.x - nx, p.y - ny}, point{p.x + nx, p.y + ny})
		}
		if i > 0 && i < len(points)-1 {
			polygon(r, disc(p, half)...)
		}
	}
	r.Draw(b.image, b.image.Bounds(), image.NewUniform(c), image.Point{})
}

func disc(p point, radius float64) []point {
	const corners = 12
	all := make([]point, corners)
	for k := range all {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / corners)
		all[k] = point{p.x + radius*cos, p.y + radius*sin}
	}
	return all
}

func polygon(r *vector.Rasterizer, corners ...point) {
	for i, p := range corners {
		if i == 0 {
			r.MoveTo(float32(p.x), float32(p.y))
		} else {
			r.LineTo(float32(p.x), float32(p.y))
		}
	}
	r.ClosePath()
}

func (b *bitmap) text(at point, anchor float64, text string) {
	d := font.Drawer{Dst: b.image, Src: image.NewUniform(ink), Face: b.face}
	left := at.x*pixels - anchor*float64(d.MeasureString(text))/64
	d.Dot = fixed.P(int(math.Round(left)), int(math.Round(at.y*pixels)))
	d.DrawString(text)
}
