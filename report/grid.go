package report

import (
	"fmt"
	"image/color"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"gotune/study"
)

// A grid is a metric of arms over two of their attributes, for one setting of the rest.
type grid struct {
	x, y   string
	xs, ys []float64
	cells  map[[2]int]spread
}

// Bounds of heat maps: pictures of a study, and cells along a side.
const (
	maxGrids = 6
	maxSide  = 12
)

// grids finds the heat maps of a study: over the two attributes with most values, one
// for each setting of what else differs. A grid wants two rows and two columns, and
// more than half of its cells.
func grids(arms []study.ArmResult, metric string) (all []grid, settings []string) {
	names := attributes(arms, 2)
	if len(names) < 2 {
		return nil, nil
	}
	x, y := names[0], names[1]
	by := map[string][]study.ArmResult{}
	for _, a := range arms {
		_, hasX := a.Attributes[x]
		_, hasY := a.Attributes[y]
		if hasX && hasY && len(sampleOf(a, metric)) > 0 {
			by[rest(a, x, y)] = append(by[rest(a, x, y)], a)
		}
	}
	for _, setting := range slices.Sorted(maps.Keys(by)) {
		g := newGrid(x, y, by[setting], metric)
		cells := len(g.xs) * len(g.ys)
		if len(g.xs) > 1 && len(g.ys) > 1 && len(g.xs) <= maxSide && len(g.ys) <= maxSide && 2*len(g.cells) > cells && len(all) < maxGrids {
			all, settings = append(all, g), append(settings, setting)
		}
	}
	return all, settings
}

// rest is what an arm differs in, apart from some keys.
func rest(a study.ArmResult, without ...string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(a.Differs)) {
		if !slices.Contains(without, k) {
			parts = append(parts, k+"="+a.Differs[k])
		}
	}
	return strings.Join(parts, ", ")
}

func newGrid(x, y string, arms []study.ArmResult, metric string) grid {
	g := grid{x: x, y: y, cells: map[[2]int]spread{}}
	for _, a := range arms {
		g.xs, g.ys = append(g.xs, a.Attributes[x]), append(g.ys, a.Attributes[y])
	}
	slices.Sort(g.xs)
	slices.Sort(g.ys)
	g.xs, g.ys = slices.Compact(g.xs), slices.Compact(g.ys)
	for _, a := range arms {
		g.cells[[2]int{slices.Index(g.xs, a.Attributes[x]), slices.Index(g.ys, a.Attributes[y])}] = sampleOf(a, metric).spread()
	}
	return g
}

// heatMap draws a grid: the darker a cell the higher its value, which is written in it.
func heatMap(name, setting string, g grid, m study.Metric) *picture {
	pic := &picture{Name: name, Title: m.Name + " over " + g.x + " and " + g.y, Columns: []string{g.x, g.y, "mean", "low", "high", "seeds"}}
	if setting != "" {
		pic.Title += ", " + setting
	}
	var values []float64
	var said []string
	for j, y := range g.ys {
		for i, x := range g.xs {
			if d, ok := g.cells[[2]int{i, j}]; ok {
				values = append(values, d.mid)
				pic.Rows = append(pic.Rows, []cell{figure(x), figure(y), figure(d.mid), figure(d.low), figure(d.high), figure(float64(d.n))})
				said = append(said, fmt.Sprintf("%s at %s=%s, %s=%s", number(d.mid), g.x, number(x), g.y, number(y)))
			}
		}
	}
	p := newPlot(short(g.x, 40), short(g.y, 40))
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(len(g.xs))-0.5, -0.5, float64(len(g.ys))-0.5
	p.X.Padding, p.Y.Padding = 0, 0
	p.X.Tick.Marker, p.Y.Tick.Marker = nominal(g.xs), nominal(g.ys)
	p.Add(heat{g, slices.Min(values), slices.Max(values), m.Better})
	pic.height, pic.draw = 70+vg.Length(min(max(len(g.ys)*38, 110), 330)), p.Draw
	pic.Caption = "Mean over seeds; the darker a cell the higher its value. The frame is round the best." + better(m)
	if m.Better == "" {
		pic.Caption = "Mean over seeds; the darker a cell the higher its value."
	}
	pic.Label = strings.Join(said, "; ") + "."
	return pic
}

func nominal(values []float64) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for i, v := range values {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: number(v)})
	}
	return ticks
}

// heat draws the cells of a grid. It is a plotter.
type heat struct {
	grid
	low, high float64
	better    string
}

// Plot draws the cells.
func (h heat) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	text := written(draw.XCenter, draw.YCenter)
	corners := func(i, j int) []vg.Point {
		l, r, b, t := x(float64(i)-0.49), x(float64(i)+0.49), y(float64(j)-0.48), y(float64(j)+0.48)
		return []vg.Point{{X: l, Y: b}, {X: r, Y: b}, {X: r, Y: t}, {X: l, Y: t}}
	}
	for i := range h.xs {
		for j := range h.ys {
			d, ok := h.cells[[2]int{i, j}]
			if !ok {
				continue
			}
			share := 0.5
			if h.high > h.low {
				share = (d.mid - h.low) / (h.high - h.low)
			}
			ground, letter := shade(share)
			c.FillPolygon(ground, corners(i, j))
			text.Color = letter
			c.FillText(text, vg.Point{X: x(float64(i)), Y: y(float64(j))}, number(d.mid))
			if h.better == "higher" && d.mid == h.high || h.better == "lower" && d.mid == h.low {
				frame := corners(i, j)
				c.StrokeLines(draw.LineStyle{Color: series[1], Width: 2.5}, append(frame, frame[0], frame[1]))
			}
		}
	}
}

// shade is a blue between light and dark, which grey tells apart as well, and a colour
// for letters upon it. Both are the same on the page by day and by night.
func shade(share float64) (ground, letter color.NRGBA) {
	share = min(max(share, 0), 1)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + share*(float64(b)-float64(a)))) }
	ground = color.NRGBA{mix(0xe8, 0x08), mix(0xf1, 0x30), mix(0xfa, 0x6b), 0xff}
	if share > 0.45 {
		return ground, color.NRGBA{0xfe, 0xfe, 0xfe, 0xff}
	}
	return ground, color.NRGBA{0x11, 0x11, 0x11, 0xff}
}

// trend draws a metric over the attribute with most values, a line for each setting of
// what else differs, where three values of it or more were run.
func trend(name string, arms []study.ArmResult, m study.Metric) *picture {
	names := attributes(arms, 3)
	if len(names) == 0 {
		return nil
	}
	return lines(name, m.Name+" over "+names[0], names[0], m, func(yield func(group string, x float64, value spread)) {
		for _, a := range arms {
			if x, ok := a.Attributes[names[0]]; ok && drawable(x) {
				if s := sampleOf(a, m.Name); len(s) > 0 {
					yield(rest(a, names[0]), x, s.spread())
				}
			}
		}
	})
}
