package suite

import (
	"fmt"
	"io"
	"strings"

	"gotune/study"
)

// Budget writes what studies will run, as a table in Markdown that adds up: a run that
// studies share counts for the first of them.
func Budget(w io.Writer, studies []*study.Study, plan study.Plan) error {
	var b strings.Builder
	b.WriteString("| study | claims | arms | seeds | arms × seeds | search and prepared | of these run for another study | own runs | own tokens (M) |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	tests, others, shared := 0, 0, 0
	for i, s := range studies {
		p := plan.Studies[i]
		if len(p.Arms) == 0 {
			fmt.Fprintf(&b, "| %s | %s | | | | | | 0 | %s |\n", s.ID, strings.Join(s.Claims, ", "), left(s))
			continue
		}
		n := len(p.Arms) * p.Seeds
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %s |\n", s.ID, strings.Join(s.Claims, ", "),
			len(p.Arms), p.Seeds, n, p.Unique-n, p.Unique-p.New, p.New, millions(p.NewTokens))
		tests, others, shared = tests+n, others+p.Unique-n, shared+p.Unique-p.New
	}
	fmt.Fprintf(&b, "| **all** | | | | %d | %d | %d | **%d** | **%s** |\n", tests, others, shared, plan.Unique, millions(plan.Tokens))
	_, err := io.WriteString(w, b.String())
	return err
}

// left says why a study has nothing to run.
func left(s *study.Study) string {
	if s.Kind == study.NotBuilt {
		return study.NotBuiltYet
	}
	return "left out of a quick run"
}

func millions(tokens float64) string { return fmt.Sprintf("%.2f", tokens/1e6) }
