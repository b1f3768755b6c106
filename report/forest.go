package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot/vg/draw"

	"gotune/study"
)

// maxRows bounds a picture of intervals; the file and the table have all.
const maxRows = 80

// A named verdict is a test with the name that a picture gives it.
type named struct {
	name    string
	verdict study.Verdict
}

// drawn reports whether a verdict has an interval that can be set against a margin.
func (n named) drawn() bool {
	v := n.verdict
	return v.Seeds > 0 && v.Margin > 0 && drawable(v.Effect/v.Margin) && drawable(v.Low/v.Margin) && drawable(v.High/v.Margin)
}

// outcomeStyle is how an outcome is drawn: its colour, and a mark of its own.
func outcomeStyle(outcome string) (color.NRGBA, draw.GlyphDrawer) {
	switch outcome {
	case study.Supported, study.Holds:
		return series[0], draw.CircleGlyph{}
	case study.Contradicted, study.Fails:
		return series[1], draw.BoxGlyph{}
	case study.Insensitive:
		return series[3], draw.PyramidGlyph{}
	}
	return ink, ring{}
}

// forest draws the effects of tests with different units over one axis: in margins.
func forest(name, title string, tests []named) *picture {
	pic := &picture{Name: name, Title: title, Columns: []string{"test", "outcome", "effect", "low", "high", "margin", "seeds"}}
	var r rows
	var said []string
	left := 0
	reach := 1.5
	for _, t := range tests {
		v := t.verdict
		if !t.drawn() {
			left++
			continue
		}
		pic.Rows = append(pic.Rows, []cell{word(t.name), word(v.Outcome), figure(v.Effect), figure(v.Low), figure(v.High), figure(v.Margin), figure(float64(v.Seeds))})
		if len(r.all) == maxRows {
			continue
		}
		c, mark := outcomeStyle(v.Outcome)
		value, interval := estimate(v.Effect, v.Low, v.High)
		r.all = append(r.all, row{
			label: t.name, value: v.Outcome + " " + value, color: c, mark: mark,
			mid: v.Effect / v.Margin, low: v.Low / v.Margin, high: v.High / v.Margin,
		})
		said = append(said, fmt.Sprintf("%s: %s, %s %s with margin %s", short(t.name, 60), v.Outcome, value, interval, number(v.Margin)))
		reach = max(reach, math.Abs(v.Effect)/v.Margin*1.15, min(math.Abs(v.Low), math.Abs(v.High))/v.Margin*1.1)
	}
	if len(r.all) == 0 {
		return nil
	}
	r.low, r.high, r.margin, r.zero = -reach, reach, 1, true
	pic.Caption = "Each effect with its 95 % interval, divided by the margin of its test; the grey band is one margin either way. "
	if r.stretched = reach > 6; r.stretched {
		pic.Caption += "The axis grows narrower away from 0. "
	}
	pic.height, pic.draw = r.picture("effect, in margins of its test")
	pic.Caption += "An arrow says that the interval goes on. Disc: supported or holds; square: contradicted or fails; triangle: insensitive; ring: inconclusive."
	if left > 0 {
		pic.Caption += fmt.Sprintf(" Not drawn: %s without a margin or an effect.", plural(left, "test"))
	}
	if n := len(pic.Rows) - len(r.all); n > 0 {
		pic.Caption += fmt.Sprintf(" %d more are in the table alone.", n)
	}
	pic.Label = strings.Join(said, "; ") + "."
	return pic
}

// suiteForest is the forest of all studies together.
func suiteForest(name string, tests []named) *picture {
	return forest(name, "The effects of all studies", tests)
}

// effects are the tests of a study for a forest, each conjunction as one.
func (s section) effects() []named {
	var tests []named
	for _, l := range s.Tests {
		if !l.Part {
			tests = append(tests, named{l.ID + ": " + l.Name, l.Verdict})
		}
	}
	return tests
}

// Effects are the effects of all tests of studies in one picture, as SVG: that of a
// suite, also of results that no one laboratory has together. It is nil where no test
// has an effect and a margin.
func Effects(results []study.Result) ([]byte, error) {
	var tests []named
	for _, r := range results {
		s := section{finished: finished{Result: r}}
		s.Tests = s.lines(r.Verdicts)
		tests = append(tests, s.effects()...)
	}
	p := suiteForest("suite-forest", tests)
	if p == nil {
		return nil, nil
	}
	var b bytes.Buffer
	if err := p.svg(&b); err != nil {
		return nil, fmt.Errorf("report: picture %s: %w", p.Name, err)
	}
	return b.Bytes(), nil
}

// armsPicture draws a metric of every arm.
func armsPicture(name string, arms []study.ArmResult, m study.Metric) *picture {
	pic := &picture{Name: name, Title: m.Name + " of every arm", Columns: []string{"arm", "mean", "low", "high", "seeds"}}
	var r rows
	var reached []float64
	var said []string
	for _, a := range arms {
		s := sampleOf(a, m.Name)
		if len(s) == 0 {
			continue
		}
		d := s.spread()
		value, interval := estimate(d.mid, d.low, d.high)
		pic.Rows = append(pic.Rows, []cell{word(a.Name), figure(d.mid), figure(d.low), figure(d.high), figure(float64(d.n))})
		if n := len(r.all); n < maxRows {
			r.all = append(r.all, row{label: a.Name, value: value, mid: d.mid, low: d.low, high: d.high, dots: s, color: series[0], mark: draw.CircleGlyph{}})
			said = append(said, fmt.Sprintf("%s %s %s", short(a.Name, 60), value, interval))
			reached = append(append(reached, d.low, d.high), s...)
		}
	}
	if len(r.all) == 0 {
		return nil
	}
	r.low, r.high = span(reached)
	pic.height, pic.draw = r.picture(axisName(m))
	pic.Caption = "Mean over seeds with its 95 % interval; small dots are single seeds." + better(m)
	if n := len(pic.Rows) - len(r.all); n > 0 {
		pic.Caption += fmt.Sprintf(" %d more arms are in the table alone.", n)
	}
	pic.Label = strings.Join(said, "; ") + "."
	return pic
}

// axisName is a metric with its unit.
func axisName(m study.Metric) string {
	if m.Unit == "" {
		return short(m.Name, 50)
	}
	return short(m.Name+" ("+m.Unit+")", 50)
}

// better says which side of a metric is, as a sentence to append.
func better(m study.Metric) string {
	if m.Better == "" {
		return ""
	}
	return " " + strings.ToUpper(m.Better[:1]) + m.Better[1:] + " is better."
}
