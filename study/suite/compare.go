package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gotune/internal/disk"
	"gotune/study"
)

// A Comparison lays verdicts of the same tests side by side: on other seeds, or on
// other bases.
type Comparison struct {
	Name    string     `json:"name"` // of its files
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    []Compared `json:"rows"`
}

// A Compared test has a row of each column, nil where it has none.
type Compared struct {
	ID    string `json:"id"`
	Study string `json:"study"`
	Test  string `json:"test"`
	Cells []*Row `json:"cells"`
	Run   int    `json:"run"`   // other columns that have an estimate
	Agree bool   `json:"agree"` // all of these do with the first; see [Agree]
}

// Agree reports whether two independent estimates can be of the same effect: their
// difference is within the root of the sum of the squares of the half widths of their
// 95 % intervals, which is about the half width of the interval of the difference.
func Agree(a, b Row) bool {
	half := func(r Row) float64 { return (r.Interval[1] - r.Interval[0]) / 2 }
	return a.Seeds > 1 && b.Seeds > 1 && math.Abs(a.Effect-b.Effect) <= math.Hypot(half(a), half(b))
}

// Compare lays the primary verdicts of studies beside those of their variants, of which
// each list is a column. The outcomes are those without the correction over the suite.
func Compare(lab, name, title string, columns []string, studies []*study.Study, variants [][]*study.Study) (Comparison, error) {
	c := Comparison{Name: name, Title: title, Columns: columns}
	for _, s := range studies {
		if s.Kind == study.NotBuilt {
			continue
		}
		first, err := alone(lab, s.ID)
		if err != nil {
			return c, err
		}
		var others [][]Row
		for _, list := range variants {
			i := slices.IndexFunc(list, func(v *study.Study) bool { return strings.HasPrefix(v.ID, s.ID+"-") })
			if i < 0 {
				others = append(others, nil)
				continue
			}
			rows, err := alone(lab, list[i].ID)
			if err != nil {
				return c, err
			}
			others = append(others, rows)
		}
		for i, r := range first {
			if !r.Primary {
				continue
			}
			row := Compared{ID: r.ID, Study: s.ID, Test: r.Test, Cells: []*Row{&first[i]}, Agree: true}
			for _, rows := range others {
				j := slices.IndexFunc(rows, func(o Row) bool { return o.Test == r.Test && o.ID == r.ID })
				if j < 0 {
					row.Cells = append(row.Cells, nil)
					continue
				}
				row.Cells = append(row.Cells, &rows[j])
				if rows[j].Seeds > 1 {
					row.Run++
					row.Agree = row.Agree && Agree(r, rows[j])
				}
			}
			row.Agree = row.Agree && row.Run > 0
			c.Rows = append(c.Rows, row)
		}
	}
	return c, nil
}

// alone are the rows of a study by itself; none where it has no result.
func alone(lab, id string) ([]Row, error) {
	r, err := study.ReadResult(lab, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("comparison: %w", err)
	}
	for i := range r.Verdicts {
		restore(&r.Verdicts[i])
	}
	var rows []Row
	for _, row := range rowsOf(r) {
		rows = append(rows, partsOf(row)...)
	}
	return rows, nil
}

// partsOf are the rows of the parts of a conjunction, and else the row: which part's
// figures a conjunction shows may differ between seeds.
func partsOf(row Row) []Row {
	if len(row.verdict.Parts) == 0 {
		return []Row{row}
	}
	var rows []Row
	for _, p := range row.verdict.Parts {
		one := newRow(row.result, p, row.Primary)
		one.ID, one.Test = row.ID, row.Test+": "+p.Name
		rows = append(rows, one)
	}
	return rows
}

// Markdown is the comparison as a table.
func (c Comparison) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| id | test | %s | agree |\n|---|---|%s---|\n", strings.Join(c.Columns, " | "), strings.Repeat("---|", len(c.Columns)))
	for _, r := range c.Rows {
		fmt.Fprintf(&b, "| %s | %s |", r.ID, cell(r.Test))
		for _, x := range r.Cells {
			if x == nil {
				b.WriteString(" – |")
				continue
			}
			fmt.Fprintf(&b, " %s %s |", x.Verdict, x.estimate())
		}
		agree := "–"
		if r.Run > 0 {
			agree = map[bool]string{true: "yes", false: "no"}[r.Agree]
		}
		fmt.Fprintf(&b, " %s |\n", agree)
	}
	return b.String()
}

// Write puts the comparison into a folder, as NAME.json and NAME.md.
func (c Comparison) Write(dir string) error {
	if err := disk.WriteJSON(filepath.Join(dir, c.Name+".json"), c); err != nil {
		return err
	}
	text := "# " + c.Title + "\n\n" + c.Markdown() + "\n" +
		"Effects with their 95 % intervals over seeds. Two agree if they differ by no more than the root of the sum of the squares of their half widths.\n"
	return disk.WriteBytes(filepath.Join(dir, c.Name+".md"), []byte(text))
}
