package draw

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
)

// SVG writes the chart as a picture of 720 by 360 units.
func (c Chart) SVG(w io.Writer) error { return writeSVG(w, c.paint) }

func writeSVG(w io.Writer, paint func(canvas)) error {
	s := &svg{bufio.NewWriter(w)}
	fmt.Fprintf(s.w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %v %v" font-family="sans-serif" font-size="%v" fill="%s">`+"\n",
		width, height, fontSize, hex(ink))
	fmt.Fprintf(s.w, `<rect width="100%%" height="100%%" fill="%s"/>`+"\n", hex(white))
	paint(s)
	fmt.Fprintln(s.w, "</svg>")
	return s.w.Flush() // which tells of the first error of all
}

type svg struct{ w *bufio.Writer }

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func (s *svg) line(points []point, width float64, c color.RGBA) {
	fmt.Fprintf(s.w, `<polyline fill="none" stroke="%s" stroke-width="%v" stroke-linejoin="round" points="`, hex(c), width)
	for i, p := range points {
		if i > 0 {
			s.w.WriteByte(' ')
		}
		fmt.Fprintf(s.w, "%.2f,%.2f", p.x, p.y)
	}
	fmt.Fprintln(s.w, `"/>`)
}

func (s *svg) text(at point, anchor float64, text string) {
	name := map[float64]string{anchorStart: "start", anchorMiddle: "middle", anchorEnd: "end"}[anchor]
	fmt.Fprintf(s.w, `<text x="%.2f" y="%.2f" text-anchor="%s">`, at.x, at.y, name)
	_ = xml.EscapeText(s.w, []byte(text)) // the buffer keeps its error for Flush
	fmt.Fprintln(s.w, "</text>")
}
