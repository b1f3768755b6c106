package report

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"
)

// A curve is what a run measured over its steps. Of a long run neighbouring points are
// joined by their means, as many into each, so that their number is bounded.
type curve struct {
	steps, values []float64

	each                int // measurements to a point; 0 means 1
	n                   int // of the point that is being made
	sumSteps, sumValues float64
}

// maxPoints is about how many points of a run are kept, however long it was.
const maxPoints = 1000

func (c *curve) add(step, value float64) {
	if !drawable(value) || !drawable(step) {
		return
	}
	c.n, c.sumSteps, c.sumValues = c.n+1, c.sumSteps+step, c.sumValues+value
	if c.n < c.each {
		return
	}
	c.end()
	if len(c.steps) < 2*maxPoints {
		return
	}
	for i := range maxPoints {
		c.steps[i], c.values[i] = (c.steps[2*i]+c.steps[2*i+1])/2, (c.values[2*i]+c.values[2*i+1])/2
	}
	c.steps, c.values, c.each = c.steps[:maxPoints], c.values[:maxPoints], 2*max(c.each, 1)
}

// end makes a point of the measurements that wait for more.
func (c *curve) end() {
	if c.n > 0 {
		c.steps, c.values = append(c.steps, c.sumSteps/float64(c.n)), append(c.values, c.sumValues/float64(c.n))
		c.n, c.sumSteps, c.sumValues = 0, 0, 0
	}
}

// An armCurves is a measurement of the runs of an arm over their steps.
type armCurves struct {
	name string
	runs []curve
}

// add appends a run that measured something.
func (a *armCurves) add(c curve) {
	if len(c.steps) > 0 {
		a.runs = append(a.runs, c)
	}
}

// A bandPoint is the mean over seeds and the lowest and highest of them.
type bandPoint struct{ step, mean, low, high float64 }

// Bounds of a picture of curves.
const (
	maxColumns = 100 // points of a curve; more steps are averaged
	maxCurves  = 12  // arms; the file has all
)

// bands averages the curves of an arm within columns of steps, and over seeds.
func (a armCurves) bands() []bandPoint {
	var steps []float64
	for _, r := range a.runs {
		steps = append(steps, r.steps...)
	}
	slices.Sort(steps)
	steps = slices.Compact(steps)
	columns := min(len(steps), maxColumns)
	var points []bandPoint
	for k := range columns {
		from, to := steps[k*len(steps)/columns], steps[(k+1)*len(steps)/columns-1]
		var seeds sample
		for _, r := range a.runs {
			sum, n := 0.0, 0.0
			for i, s := range r.steps {
				if s >= from && s <= to {
					sum, n = sum+r.values[i], n+1
				}
			}
			if n > 0 {
				seeds = append(seeds, sum/n)
			}
		}
		if len(seeds) > 0 {
			points = append(points, bandPoint{(from + to) / 2, seeds.spread().mid, slices.Min(seeds), slices.Max(seeds)})
		}
	}
	return points
}

// curvesPicture draws what arms measured over their steps.
func curvesPicture(name, title, y string, arms []armCurves) *picture {
	arms = slices.DeleteFunc(slices.Clone(arms), func(a armCurves) bool {
		return !slices.ContainsFunc(a.runs, func(r curve) bool { return len(r.steps) > 1 })
	})
	if len(arms) == 0 {
		return nil
	}
	p := newPlot("optimizer step", y)
	var k key
	var said []string
	pic := &picture{Name: name, Title: title, Columns: []string{"arm", "step", "mean", "lowest", "highest", "seeds"}}
	for i, a := range arms {
		points := a.bands()
		for _, b := range points {
			pic.Rows = append(pic.Rows, []cell{word(a.name), figure(b.step), figure(b.mean), figure(b.low), figure(b.high), figure(float64(len(a.runs)))})
		}
		first, last := points[0], points[len(points)-1]
		if i >= maxCurves {
			continue
		}
		said = append(said, fmt.Sprintf("%s from %s to %s", short(a.name, 60), number(first.mean), number(last.mean)))
		var mean, outline plotter.XYs
		for _, b := range points {
			mean = append(mean, plotter.XY{X: b.step, Y: b.mean})
			outline = append(outline, plotter.XY{X: b.step, Y: b.high})
		}
		for _, b := range slices.Backward(points) {
			outline = append(outline, plotter.XY{X: b.step, Y: b.low})
		}
		line, err := plotter.NewLine(mean)
		band, err2 := plotter.NewPolygon(outline)
		if err != nil || err2 != nil {
			continue // there are no points; those that are no numbers were left out
		}
		line.LineStyle = seriesLine(i)
		if band.Color = veil(seriesColor(i)); len(arms) > 3 {
			band.Color = haze(seriesColor(i))
		}
		band.LineStyle.Width = 0
		if len(a.runs) > 1 {
			p.Add(band)
		}
		p.Add(line)
		k.add(a.name, line)
	}
	pic.Caption = "The line is the mean over seeds, the band reaches from the lowest to the highest."
	if n := len(arms) - maxCurves; n > 0 {
		pic.Caption += fmt.Sprintf(" %d more arms are in the table alone.", n)
	}
	pic.Label = strings.Join(said, "; ") + "."
	pic.height, pic.draw = 220+k.height(), k.below(p)
	return pic
}
