package inspect

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"gotune/data"
	"gotune/data/rows"
)

// A Terminal writes pages as text.
type Terminal struct {
	Color bool // else targets stand in brackets, and | between other tokens
	IDs   bool // a line for each token
	Width int  // of the bars
}

// Rows writes how the data was read, and the rows token by token.
func (t Terminal) Rows(w io.Writer, p *Page) error {
	out := bufio.NewWriter(w)
	for _, f := range p.Report.Files {
		fmt.Fprintln(out, Visible(f.String()))
	}
	t.template(out, p)
	for _, r := range p.Rows {
		t.row(out, r)
	}
	return out.Flush()
}

// firstLines is how much of a template is shown.
const firstLines = 6

func (t Terminal) template(out io.Writer, p *Page) {
	if !p.Conversations() {
		return
	}
	fmt.Fprintf(out, "chat template: %s\n", Visible(p.Template.Name()))
	lines := strings.Split(strings.TrimRight(p.Template.Source(), "\n"), "\n")
	for i, line := range lines {
		if i == firstLines {
			fmt.Fprintf(out, "    … and %d more of %d lines\n", len(lines)-i, len(lines))
			break
		}
		if r := []rune(line); len(r) > 120 {
			line = string(r[:119]) + "…"
		}
		if line != "" {
			fmt.Fprintf(out, "    %s\n", Visible(line))
		}
	}
}

// Conversations reports whether any file holds messages, for which there is a
// template.
func (p *Page) Conversations() bool {
	for _, f := range p.Report.Files {
		if f.Form == rows.Messages || f.Format == "world" {
			return p.Template != nil
		}
	}
	return false
}

func (t Terminal) row(out io.Writer, r Row) {
	fmt.Fprintf(out, "\nrow %d: %d tokens, %d targets, %d of padding\n", r.Number, r.Tokens, r.Targets, r.Pad)
	for _, s := range r.Segments {
		fmt.Fprintf(out, "  segment %d: %s, positions 0–%d, %d targets\n", s.Number, Visible(s.At.String()), len(s.Tokens)-1, s.Targets)
		if t.IDs {
			t.table(out, s)
			continue
		}
		t.tokens(out, s)
	}
	if r.Pad > 0 {
		fmt.Fprintf(out, "  %s\n", t.paint(faint, fmt.Sprintf("‹padding %d ×%d›", r.PadID, r.Pad)))
	}
}

// The colours of 256: two shades of each kind, so that one token is told from the
// next.
var (
	targetShades = [2]string{"38;5;16;48;5;114", "38;5;16;48;5;150"}
	promptShades = [2]string{"38;5;252;48;5;236", "38;5;252;48;5;239"}
)

const faint = "2"

func (t Terminal) paint(code, text string) string {
	if !t.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// tokens writes a segment as running text. The line breaks of the data break lines.
func (t Terminal) tokens(out io.Writer, s Segment) {
	fmt.Fprint(out, "    ")
	for i, token := range s.Tokens {
		shades := promptShades
		if token.Target {
			shades = targetShades
		}
		switch {
		case t.Color:
			fmt.Fprint(out, t.paint(shades[i%2], token.Text))
		case token.Target:
			fmt.Fprint(out, "[", token.Text, "]")
		case i > 0 && !s.Tokens[i-1].Target && !strings.HasSuffix(s.Tokens[i-1].Text, "␊"):
			fmt.Fprint(out, "|", token.Text)
		default:
			fmt.Fprint(out, token.Text)
		}
		if strings.HasSuffix(token.Text, "␊") && i+1 < len(s.Tokens) {
			fmt.Fprint(out, "\n    ")
		}
	}
	fmt.Fprintln(out)
}

// table writes a line for each token.
func (t Terminal) table(out io.Writer, s Segment) {
	fmt.Fprintf(out, "    %8s %8s  %-6s  %s\n", "position", "id", "role", "text")
	for i, token := range s.Tokens {
		role, shades := "prompt", promptShades
		if token.Target {
			role, shades = "target", targetShades
		}
		weight := ""
		if token.Target && token.Weight != 1 {
			weight = fmt.Sprintf("  weight %g", token.Weight)
		}
		fmt.Fprintf(out, "    %8d %8d  %-6s  %s%s\n", token.Position, token.ID, role, t.paint(shades[i%2], token.Text), weight)
	}
}

// Summary writes what became of all rows and what was found.
func (t Terminal) Summary(w io.Writer, p *Page) error {
	out := bufio.NewWriter(w)
	r := p.Report
	fmt.Fprintf(out, "\n%-10s %d\n", "rows", r.Rows)
	for _, c := range p.counts() {
		fmt.Fprintf(out, "  %-8s %d%s\n", c.Name, c.Count, Visible(c.places()))
	}
	fmt.Fprintf(out, "%-10s %d in %d rows, of them %d targets (%.1f %%)\n", "tokens", r.Tokens, r.Examples, r.TargetTokens, 100*r.TargetShare())
	if p.Packed {
		fmt.Fprintf(out, "%-10s %d rows of at most %d tokens\n", "packed", p.All, p.Most)
	}
	l := r.Lengths
	fmt.Fprintf(out, "%-10s from %d to %d tokens, half up to %d, 95 %% up to %d, %.1f on average\n", "lengths", l.Min, l.Max, l.Median, l.P95, l.Mean)
	t.bars(out, p.Lengths)
	if p.HeldOut != nil {
		fmt.Fprintf(out, "%-10s %d rows, %d kept, %d tokens, %.1f %% targets\n", "held out", p.HeldOut.Rows, p.HeldOut.Kept, p.HeldOut.Tokens, 100*p.HeldOut.TargetShare())
	}
	if len(p.Findings) == 0 {
		fmt.Fprintln(out, "findings   none")
	}
	for _, f := range p.Findings {
		stops := ""
		switch {
		case f.Stops:
			stops = ", stops training"
		case f.Warns:
			stops = ", a warning"
		}
		fmt.Fprintf(out, "finding    %s%s: %s\n", f.Name, stops, Visible(f.Text))
	}
	return out.Flush()
}

// A count is a number of rows of a kind and where the first of them stand.
type count struct {
	Name  string
	Count int
	First []rows.Location
	Why   string
}

func (c count) places() string {
	if len(c.First) == 0 {
		return ""
	}
	var list []string
	for _, at := range c.First {
		list = append(list, at.String())
	}
	text := ": " + strings.Join(list, ", ")
	if c.Count > len(c.First) {
		text += ", …"
	}
	if c.Why != "" {
		text += " (" + c.Why + ")"
	}
	return text
}

// counts lists what became of the rows; what did not happen is left out.
func (p *Page) counts() []count {
	r := p.Report
	all := []count{
		{Name: "kept", Count: r.Kept},
		{Name: "cut", Count: r.Cut},
		{Name: "dropped", Count: r.Dropped, First: r.FirstDropped, Why: fmt.Sprintf("longer than %d tokens", p.Most)},
		{Name: "empty", Count: r.Empty, First: r.FirstEmpty, Why: "nothing to learn"},
		{Name: "refused", Count: r.Refused, First: r.FirstRefused, Why: r.WhyRefused},
		{Name: "twice", Count: r.Duplicates, First: r.FirstDuplicates, Why: "the same tokens as a row before"},
		{Name: "seams", Count: r.Seams, First: r.FirstSeams, Why: "tokenised differently joined than apart"},
	}
	shown := all[:0]
	for _, c := range all {
		if c.Count > 0 || c.Name == "kept" {
			shown = append(shown, c)
		}
	}
	return shown
}

// bars draws a histogram.
func (t Terminal) bars(out io.Writer, bins []Bin) {
	most, labels, counts := 1, 0, 0
	for _, b := range bins {
		most = max(most, b.Count)
		labels = max(labels, len([]rune(b.String())))
		counts = max(counts, len(fmt.Sprint(b.Count)))
	}
	room := max(10, t.Width-labels-counts-4)
	for _, b := range bins {
		bar := strings.Repeat("█", (b.Count*room+most-1)/most)
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %*s %*d %s", labels, b, counts, b.Count, bar), " "))
	}
}

// Refuse is the error of the findings that would stop a training.
func (p *Page) Refuse(allow []string) error { return data.Refuse(p.Findings, allow) }
