package draw_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"gotune/schedule"
	"gotune/schedule/draw"
)

// rates of a schedule, or the end of the test.
func rates(t testing.TB, c schedule.Config) []float64 {
	t.Helper()
	s, err := schedule.New(c)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]float64, c.Steps)
	for i := range all {
		all[i] = s.Rate(i)
	}
	return all
}

// A straight fall over eight steps in a small terminal.
func ExampleChart_Terminal() {
	c := draw.Chart{Title: "linear", Rates: []float64{8e-4, 7e-4, 6e-4, 5e-4, 4e-4, 3e-4, 2e-4, 1e-4}}
	_ = c.Terminal(os.Stdout, 30, 4)
	// Output:
	// linear
	//      │⠉⠒⠒⠤⠤⣀⡀
	// 5e-4 ┤      ⠈⠉⠒⠒⠤⠤⣀⡀
	//      │             ⠈⠉⠑⠒⠢⠤⣀⡀
	//    0 ┤                    ⠈⠉⠑⠒
	//      └┬────────────┬──────────
	// step  1            5
}

func ExampleChart_CSV() {
	c := draw.Chart{Rates: []float64{1.5e-4, 3e-4, 0}}
	_ = c.CSV(os.Stdout)
	// Output:
	// step,learning_rate
	// 1,0.00015
	// 2,0.0003
	// 3,0
}

// Two stages: the second begins at the fourth step.
func ExampleChart_Points() {
	c := draw.Chart{Rates: []float64{1e-4, 2e-4, 0, 1e-4, 5e-5}, Marks: []draw.Mark{{Step: 3, Label: "chat"}}}
	_ = c.Points(os.Stdout)
	// Output:
	// first        1e-4       step 1
	// peak         2e-4       step 2
	// chat         1e-4       step 4
	// lowest after 0          step 3
	// last         5e-5       step 5
	// mean         9e-5       45 % of the peak over 5 steps
}

// The width is kept whatever is drawn, and nothing panics.
func TestTerminalFits(t *testing.T) {
	long := rates(t, schedule.Config{Name: "cosine_with_restarts", Steps: 100_000, Cycles: 7, WarmupRatio: .05, Peak: 3e-4, MinRatio: .1})
	for name, all := range map[string][]float64{
		"none": nil, "one": {1e-3}, "two": {1, 2}, "zero": {0, 0, 0}, "tiny": {1e-300, 5e-324}, "huge": {1e300, 1}, "long": long,
	} {
		for _, columns := range []int{0, 30, 31, 80, 200} {
			for _, rows := range []int{0, 2, 5, 12} {
				var b bytes.Buffer
				c := draw.Chart{Title: "a title", Rates: all, Marks: []draw.Mark{{Step: 1, Label: "x"}, {Step: -4}, {Step: 1 << 30}}}
				if err := c.Terminal(&b, columns, rows); err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
				if len(lines) != max(rows, 2)+3 {
					t.Errorf("%s: %d lines for %d rows", name, len(lines), rows)
				}
				for _, l := range lines {
					if utf8.RuneCountInString(l) > max(columns, 30) {
						t.Errorf("%s: line of %d characters for %d columns: %q", name, utf8.RuneCountInString(l), columns, l)
					}
				}
			}
		}
	}
}

func TestSVGIsXML(t *testing.T) {
	c := draw.Chart{Title: `<b> & "quotes"`, Rates: []float64{1, 2, 3}, Marks: []draw.Mark{{Step: 1, Label: "<stage>"}}}
	var b bytes.Buffer
	if err := c.SVG(&b); err != nil {
		t.Fatal(err)
	}
	texts, elements := []string{}, 0
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements++
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
	for _, want := range []string{c.Title, "<stage>", "step"} {
		if !strings.Contains(strings.Join(texts, "|"), want) {
			t.Errorf("no text %q in %q", want, texts)
		}
	}
	if elements < 10 {
		t.Errorf("%d elements", elements)
	}
}

// A constant rate is a blue line along the top, and below it is paper.
func TestPNG(t *testing.T) {
	var b bytes.Buffer
	if err := (draw.Chart{Title: "constant", Rates: []float64{1, 1, 1, 1}}).PNG(&b); err != nil {
		t.Fatal(err)
	}
	p, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if size := p.Bounds().Size(); size.X != 1440 || size.Y != 720 {
		t.Errorf("size %v", size)
	}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(p.At(x, y)).(color.RGBA) }
	for _, x := range []int{200, 700, 1300} {
		if c := at(x, 80); c != (color.RGBA{0x1f, 0x6f, 0xb4, 0xff}) {
			t.Errorf("colour %v on the curve", c)
		}
		if c := at(x, 110); c != (color.RGBA{0xff, 0xff, 0xff, 0xff}) {
			t.Errorf("colour %v below the curve", c)
		}
	}
}

// full is a writer on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestErrorsOfTheWriterAreReturned(t *testing.T) {
	c := draw.Chart{Rates: []float64{1, 2}}
	for name, f := range map[string]func(io.Writer) error{
		"svg": c.SVG, "png": c.PNG, "csv": c.CSV,
		"terminal": func(w io.Writer) error { return c.Terminal(w, 80, 12) },
	} {
		if err := f(full{}); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", .002: "0.002", 2e-4: "2e-4", 1.5e-5: "1.5e-5", 3.14159e-4: "3.14e-4", 12345: "12300",
		1e5: "1e5", 1e10: "1e10", 1e-10: "1e-10", .0123456: "0.0123", math.Inf(1): "+Inf",
	} {
		if got := draw.Number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

// The places of a plot are worked out by hand: the area of the curve is 636 × 272
// units with its lower left corner at (64, 312).
func TestPlot(t *testing.T) {
	for name, c := range map[string]struct {
		plot draw.Plot
		want []string
	}{
		"linear from 0": {
			draw.Plot{Title: "t", X: "rows", Y: "ms", Lines: []draw.Line{{Label: "step", Points: []draw.Point{{X: 1, Y: 5}, {X: 4, Y: 20}}}}},
			[]string{`points="223.00,244.00 700.00,40.00"`, ">rows<", ">t (ms)<", ">step<"},
		},
		"logarithmic over whole decades": {
			draw.Plot{Log: true, Lines: []draw.Line{{Points: []draw.Point{{X: 1, Y: 1}, {X: 9, Y: 90}}}, {Dots: true, Points: []draw.Point{{X: 1, Y: 10, Label: "a & b"}}}}},
			[]string{`points="64.00,312.00 `, `points="61.00,176.00 67.00,176.00"`, ">a &amp; b<"},
		},
		"nothing to draw": {draw.Plot{Lines: []draw.Line{{}}}, []string{"</svg>"}},
	} {
		var b strings.Builder
		if err := c.plot.SVG(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: %q is not in\n%s", name, want, b.String())
			}
		}
		if err := xml.Unmarshal([]byte(b.String()), new(struct{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
