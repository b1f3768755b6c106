package inspect

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"gotune/data/rows"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"visible": Visible,
	"place":   func(at rows.Location) string { return Visible(at.String()) },
	"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
	"broken":  func(text string) bool { return strings.HasSuffix(text, "␊") },
}).Parse(page))

// HTML writes a page that needs no other file. Texts are escaped.
func (p *Page) HTML(w io.Writer) error {
	most := 1
	for _, b := range p.Lengths {
		most = max(most, b.Count)
	}
	return pageTemplate.Execute(w, struct {
		*Page
		Counts []count
		Most   int
	}{p, p.counts(), most})
}

// Title is what is shown when a pointer rests on a token.
func (s Segment) Title(t Token) string {
	role := "prompt"
	if t.Target {
		role = fmt.Sprintf("target, weight %g", t.Weight)
	}
	return fmt.Sprintf("id %d, position %d, segment %d, %s", t.ID, t.Position, s.Number, role)
}

// Places names where the first rows of a kind stand.
func (c count) Places() string { return Visible(c.places()) }
