package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"unicode"

	"gotune/study"
)

var (
	//go:embed page.html
	pageText string
	//go:embed style.css
	styleText string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"number": number, "probability": probability, "plural": plural, "duration": duration, "amount": amount,
		"style": func() template.CSS { return template.CSS(styleText) },
		"mark":  mark, "breakable": breakable,
	}).Parse(pageText))
)

// A page is what the template shows.
type page struct {
	Title    string
	Suite    bool
	Counts   []count
	Verdicts []line
	Forest   *picture
	Studies  []section
	Missing  []string

	pictures []*picture
}

// A count is how often an outcome came out.
type count struct {
	Outcome string
	N       int
}

// A line is a verdict in a table.
type line struct {
	study.Verdict
	ID, Anchor, Title string
	Value, Interval   string
	Part              bool // of the conjunction above it
	Several           bool // tests of the study
}

// Measured reports whether there is an effect to show.
func (l line) Measured() bool { return l.Seeds > 0 }

// Between reports whether it has an interval.
func (l line) Between() bool { return l.Seeds > 0 && l.High > l.Low }

// html writes the page, without the control characters that no page may hold.
func (p *page) html(w io.Writer) error {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return err
	}
	_, err := w.Write(bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, b.Bytes()))
	return err
}

// outcomes are those that there are, in the order in which they are counted.
var outcomes = []string{
	study.Supported, study.Holds, study.Contradicted, study.Fails, study.Inconclusive, study.Insensitive, study.NotRun, study.NotBuiltYet,
}

// mark is the sign of an outcome, as pictures have it, so that no colour need be seen.
func mark(outcome string) string {
	switch outcome {
	case study.Supported, study.Holds:
		return "●"
	case study.Contradicted, study.Fails:
		return "■"
	case study.Insensitive:
		return "▲"
	}
	return "○"
}

// breakable lets a long name such as lora_rank=8,learning_rate=0.0003 go on in the next
// line after a comma or an equals sign, and not within a number.
func breakable(name string) template.HTML {
	return template.HTML(strings.NewReplacer(",", ",<wbr>", "=", "=<wbr>").Replace(template.HTMLEscapeString(name)))
}

// page makes everything that is shown.
func (r *Report) page() *page {
	p := &page{Suite: r.suite, Missing: r.missing}
	files := map[string]bool{}
	var tests []named
	for _, s := range r.studies {
		v := r.section(s, files)
		p.Studies = append(p.Studies, v)
		p.pictures = append(p.pictures, v.Pictures...)
		for _, l := range v.Tests {
			if !l.Part {
				p.Verdicts = append(p.Verdicts, l)
			}
		}
		tests = append(tests, v.effects()...)
		if len(v.Tests) == 0 && s.Kind == study.NotBuilt {
			l := line{ID: v.name(), Anchor: v.Anchor, Title: s.Title}
			l.Outcome, l.Reading = study.NotBuiltYet, s.Note
			p.Verdicts = append(p.Verdicts, l)
		}
	}
	if !r.suite {
		p.Title = p.Studies[0].Title
		return p
	}
	p.Title = plural(len(p.Studies), "study")
	if len(p.Studies) != 1 {
		p.Title = strconv.Itoa(len(p.Studies)) + " studies"
	}
	for _, o := range outcomes {
		n := 0
		for _, v := range p.Verdicts {
			if v.Outcome == o {
				n++
			}
		}
		if n > 0 {
			p.Counts = append(p.Counts, count{o, n})
		}
	}
	if p.Forest = suiteForest(unique("suite-forest", files), tests); p.Forest != nil {
		p.pictures = append(p.pictures, p.Forest)
	}
	return p
}

// fileName is a text as the name of a file, or as an anchor.
func fileName(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '_' {
			return unicode.ToLower(r)
		}
		return '-'
	}, s)
	clean = strings.Trim(clean, "-")
	return cmp.Or(clean[:min(len(clean), 60)], "study")
}

// unique is a name that was not used before.
func unique(name string, used map[string]bool) string {
	free := name
	for n := 2; used[free]; n++ {
		free = fmt.Sprint(name, "-", n)
	}
	used[free] = true
	return free
}
