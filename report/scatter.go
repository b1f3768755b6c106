package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"gotune/study"
)

// A measure is a value with its interval over a number.
type measure struct {
	x float64
	spread
}

// lines draws values over a number, a line for each group. each hands out what to draw.
func lines(name, title, x string, m study.Metric, each func(func(group string, x float64, value spread))) *picture {
	pic := &picture{Name: name, Title: title, Columns: []string{"arms", x, m.Name, "low", "high", "seeds"}}
	groups := map[string][]measure{}
	each(func(group string, x float64, value spread) {
		groups[group] = append(groups[group], measure{x, value})
	})
	maps.DeleteFunc(groups, func(_ string, g []measure) bool { return len(g) < 2 })
	if len(groups) == 0 {
		return nil
	}
	p := newPlot(short(x, 40), axisName(m))
	var k key
	var said []string
	var xs []float64 // of what is drawn
	for i, group := range slices.Sorted(maps.Keys(groups)) {
		g := groups[group]
		slices.SortFunc(g, func(a, b measure) int { return cmp.Compare(a.x, b.x) })
		var points plotter.XYs
		var errors plotter.YErrors
		for _, v := range g {
			pic.Rows = append(pic.Rows, []cell{word(group), figure(v.x), figure(v.mid), figure(v.low), figure(v.high), figure(float64(v.n))})
			points = append(points, plotter.XY{X: v.x, Y: v.mid})
			errors = append(errors, struct{ Low, High float64 }{v.mid - v.low, v.high - v.mid})
			said = append(said, strings.TrimSpace(fmt.Sprintf("%s %s at %s", short(group, 60), number(v.mid), number(v.x))))
		}
		line, dots, err := plotter.NewLinePoints(points)
		bars, err2 := plotter.NewYErrorBars(struct {
			plotter.XYs
			plotter.YErrors
		}{points, errors})
		if err != nil || err2 != nil || i >= maxCurves {
			continue
		}
		line.LineStyle, dots.GlyphStyle = seriesLine(i), seriesMark(i)
		bars.LineStyle.Color, bars.LineStyle.Width, bars.CapWidth = seriesColor(i), 1, 5
		p.Add(line, bars, dots)
		for _, v := range g {
			xs = append(xs, v.x)
		}
		if len(groups) > 1 {
			k.add(cmp.Or(group, "all"), line, dots)
		}
	}
	logarithmic(&p.X, xs)
	pic.Caption = "Means over seeds with their 95 % intervals." + better(m)
	if n := len(groups) - maxCurves; n > 0 {
		pic.Caption += fmt.Sprintf(" %d more lines are in the table alone.", n)
	}
	pic.Label = strings.Join(said[:min(len(said), maxRows)], "; ") + "."
	pic.height, pic.draw = 230+k.height(), k.below(p)
	return pic
}

// searchPictures draws what the values that arms were given were chosen from, a picture
// for each key that was tried.
func searchPictures(name string, arms []study.ArmResult) []*picture {
	keys := map[string]bool{}
	for _, a := range arms {
		for _, s := range a.Search {
			for k := range s.Values {
				keys[k] = true
			}
		}
	}
	var all []*picture
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		pic := lines(name+"-"+fileName(key), "Search over "+key, key, study.Metric{Name: "metric of the search"}, func(yield func(string, float64, spread)) {
			for _, a := range arms {
				for _, s := range a.Search {
					x, ok := s.Values[key]
					if !ok || !drawable(x) || !drawable(s.Metric) {
						continue
					}
					var other []string
					for _, k := range slices.Sorted(maps.Keys(s.Values)) {
						if k != key {
							other = append(other, k+"="+number(s.Values[k]))
						}
					}
					group := strings.Join(append([]string{a.Name}, other...), ", ")
					yield(group, x, spread{s.Metric, s.Metric, s.Metric, len(s.Runs)})
				}
			}
		})
		if pic == nil {
			continue
		}
		pic.Caption = "Each arm's own best value was chosen by these means, on tuning seeds that no test uses."
		var chosen []string
		for _, a := range arms {
			if v, ok := a.Tuned[key]; ok {
				chosen = append(chosen, short(a.Name, 60)+" "+number(v))
			}
		}
		if len(chosen) > 0 && len(chosen) <= maxCurves {
			pic.Caption += " Chosen: " + strings.Join(chosen, ", ") + "."
		}
		all = append(all, pic)
	}
	return all
}

// pareto draws arms by two metrics, with the front that no arm beats in both.
func pareto(name string, arms []study.ArmResult, a, b study.Metric) *picture {
	pic := &picture{Name: name, Title: b.Name + " against " + a.Name, Columns: []string{"arm", a.Name, b.Name, "on the front"}}
	sign := map[string]float64{"higher": 1, "lower": -1}
	type dot struct {
		arm  string
		x, y float64
	}
	var dots []dot
	for _, arm := range arms {
		x, y := sampleOf(arm, a.Name), sampleOf(arm, b.Name)
		if len(x) > 0 && len(y) > 0 {
			dots = append(dots, dot{arm.Name, x.spread().mid, y.spread().mid})
		}
	}
	if len(dots) < 3 {
		return nil
	}
	beaten := func(d dot) bool {
		return slices.ContainsFunc(dots, func(o dot) bool {
			dx, dy := sign[a.Better]*(o.x-d.x), sign[b.Better]*(o.y-d.y)
			return dx >= 0 && dy >= 0 && dx+dy > 0
		})
	}
	p := newPlot(axisName(a), axisName(b))
	var k key
	var front plotter.XYs
	var said []string
	for i, d := range dots {
		best := !beaten(d)
		pic.Rows = append(pic.Rows, []cell{word(d.arm), figure(d.x), figure(d.y), word(map[bool]string{true: "yes", false: "no"}[best])})
		if best {
			front = append(front, plotter.XY{X: d.x, Y: d.y})
			said = append(said, fmt.Sprintf("%s (%s, %s)", short(d.arm, 60), number(d.x), number(d.y)))
		}
		s, err := plotter.NewScatter(plotter.XYs{{X: d.x, Y: d.y}})
		if err != nil || i >= 2*maxCurves {
			continue
		}
		s.GlyphStyle = seriesMark(i)
		s.Radius = vg.Length(4.5)
		p.Add(s)
		k.add(d.arm, s)
	}
	slices.SortFunc(front, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
	if line, err := plotter.NewLine(front); err == nil && len(front) > 1 {
		line.Color, line.Width, line.Dashes = ink, 0.8, []vg.Length{3, 3}
		p.Add(line)
	}
	pic.Caption = "Means over seeds. The dotted line joins the arms that no other beats in both." +
		fmt.Sprintf(" %s: %s is better; %s: %s.", a.Name, a.Better, b.Name, b.Better)
	if n := len(dots) - 2*maxCurves; n > 0 {
		pic.Caption += fmt.Sprintf(" %d more arms are in the table alone.", n)
	}
	pic.Label = "No arm beats in both: " + strings.Join(said[:min(len(said), maxRows)], "; ") + "."
	pic.height, pic.draw = 240+k.height(), k.below(p)
	return pic
}
