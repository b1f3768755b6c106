package suite

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gotune/internal/disk"
	"gotune/report"
	"gotune/study"
)

// Markdown is the table of primary verdicts.
func (t Table) Markdown() string { return t.markdown(english) }

func (t Table) markdown(l language) string {
	var b strings.Builder
	b.WriteString(l.say("| id | claim | verdict | effect [95 %] | margin | seeds | reading |\n", "| 编号 | 说法 | 结论 | 效应 [95 %] | 阈值 | 种子数 | 读法 |\n"))
	b.WriteString("|---|---|---|---|---|--:|---|\n")
	for _, r := range t.Primary() {
		margin := "–"
		if r.Margin > 0 {
			margin = short(r.Margin)
		}
		claim := l.of(r.result.Claim)
		if claim == "" {
			claim = r.result.Title
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %d | %s |\n", r.ID, cell(claim), l.word(r.Verdict), r.estimate(), margin, r.Seeds, cell(r.line(l)))
	}
	return b.String()
}

// The markers of the table of verdicts in a page.
const (
	begin = "<!-- verdicts -->"
	end   = "<!-- /verdicts -->"
)

// Marked is the table of verdicts between its markers.
func (t Table) Marked() string { return begin + "\n" + t.Markdown() + end + "\n" }

// Insert puts the table of verdicts between the markers of a page.
func (t Table) Insert(page string) error {
	before, after, err := aroundTable(page)
	if err != nil {
		return err
	}
	return disk.WriteBytes(page, []byte(before+strings.TrimSuffix(t.Marked(), "\n")+after))
}

// CheckPage reports whether a page has the markers that [Table.Insert] wants.
func CheckPage(page string) error {
	_, _, err := aroundTable(page)
	return err
}

// aroundTable reads what stands before and after the table of verdicts of a page.
func aroundTable(page string) (before, after string, err error) {
	raw, err := os.ReadFile(page)
	if err != nil {
		return "", "", fmt.Errorf("the page for the table of verdicts: %w", err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	if !ok {
		return "", "", fmt.Errorf("%s has no line %s for the table to begin at", page, begin)
	}
	if _, after, ok = strings.Cut(rest, end); !ok {
		return "", "", fmt.Errorf("%s has no line %s for the table to end at", page, end)
	}
	return before, after, nil
}

// Publish writes what is kept of results into a folder: verdicts.json, numbers.csv, each
// study's result, the pictures of primary tests out of a report's folder, the
// laboratory's comparisons, and README.md with README.zh-CN.md. Of studies whose results
// were taken over from the folder the pictures stay there; others go.
func (t Table) Publish(lab, pictures, dir string) error {
	for _, sub := range []string{"pictures", "studies"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	for _, r := range t.results {
		if !r.answered() {
			continue // what was published before may say more
		}
		if err := r.write(dir); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	if err := t.Write(filepath.Join(dir, "verdicts.json")); err != nil {
		return err
	}
	numbers, err := t.numbers()
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	if err := disk.WriteBytes(filepath.Join(dir, "numbers.csv"), numbers); err != nil {
		return err
	}
	shown, err := t.placePictures(pictures, filepath.Join(dir, "pictures"))
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	comparisons, err := copyComparisons(lab, dir)
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	for l, name := range []string{english: "README.md", chinese: "README.zh-CN.md"} {
		if err := disk.WriteBytes(filepath.Join(dir, name), []byte(t.page(language(l), shown, comparisons))); err != nil {
			return err
		}
	}
	return nil
}

// numbers are the metrics of all runs as CSV, a line each.
func (t Table) numbers() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	write := func(record ...string) { _ = w.Write(record) } // errors are those of Flush
	write("study", "arm", "seed", "run", "status", "steps", "tokens", "metric", "value", "censored")
	for _, r := range t.results {
		for _, a := range r.Arms {
			for _, run := range a.Runs {
				row := []string{r.ID, a.Name, strconv.FormatUint(run.Seed, 10), run.Run, run.Status, strconv.Itoa(run.Steps), strconv.FormatInt(run.Tokens, 10)}
				if len(run.Metrics) == 0 {
					write(append(row, "", "", "")...)
				}
				for _, m := range r.Metrics {
					if x, ok := run.Metrics[m.Name]; ok {
						write(append(slices.Clone(row), m.Name, strconv.FormatFloat(x, 'g', -1, 64), strconv.FormatBool(slices.Contains(run.Censored, m.Name)))...)
					}
				}
			}
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// placePictures puts the pictures of effects and of the metric of the first test of each
// study into a folder, takes away others, and returns their names by study.
func (t Table) placePictures(from, to string) (map[string][]string, error) {
	shown := make(map[string][]string)
	stay := make(map[string]bool)
	var results []study.Result
	for _, r := range t.results {
		results = append(results, r.Result)
		source := from
		if r.taken {
			source = to
		}
		for _, pattern := range r.pictures() {
			found, err := fs.Glob(os.DirFS(source), pattern)
			if err != nil {
				return nil, err
			}
			for _, name := range found {
				if err := copyFile(filepath.Join(source, name), filepath.Join(to, name)); err != nil {
					return nil, err
				}
				stay[name], shown[r.ID] = true, append(shown[r.ID], name)
			}
		}
	}
	forest, err := report.Effects(results)
	if err != nil {
		return nil, err
	}
	if forest != nil {
		const name = "suite-forest.svg"
		if err := disk.WriteBytes(filepath.Join(to, name), forest); err != nil {
			return nil, err
		}
		stay[name], shown[""] = true, []string{name}
	}
	there, err := fs.Glob(os.DirFS(to), "*.svg")
	if err != nil {
		return nil, err
	}
	for _, name := range there {
		if stay[name] {
			continue
		}
		if err := os.Remove(filepath.Join(to, name)); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// pictures are the patterns of the names of pictures that are shown of a study.
func (k kept) pictures() []string {
	id := strings.ToLower(k.ID)
	patterns := []string{id + "-forest.svg"}
	if len(k.Verdicts) > 0 && k.Verdicts[0].Metric != "" {
		metric := strings.ToLower(strings.ReplaceAll(k.Verdicts[0].Metric, ".", "-"))
		for _, kind := range []string{"map*", "trend", "arms"} {
			patterns = append(patterns, id+"-"+metric+"-"+kind+".svg")
		}
	}
	return patterns
}

// copyFile copies a file, unless it is there.
func copyFile(from, to string) error {
	if from == to {
		return nil
	}
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return disk.WriteBytes(to, raw)
}

// copyComparisons copies the comparisons that a laboratory has beside those that are
// there, and returns the names of all.
func copyComparisons(lab, dir string) ([]string, error) {
	var names []string
	for _, pattern := range []string{"bases", "seeds-*"} {
		found, err := fs.Glob(os.DirFS(lab), pattern+".md")
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			name = strings.TrimSuffix(name, ".md")
			for _, ending := range []string{".md", ".json"} {
				if err := copyFile(filepath.Join(lab, name+ending), filepath.Join(dir, name+ending)); err != nil {
					return nil, err
				}
			}
		}
		if found, err = fs.Glob(os.DirFS(dir), pattern+".md"); err != nil {
			return nil, err
		}
		for _, name := range found {
			names = append(names, strings.TrimSuffix(name, ".md"))
		}
	}
	return names, nil
}

// page is README.md of a folder of results.
func (t Table) page(l language, shown map[string][]string, comparisons []string) string {
	var b strings.Builder
	p := func(en, zh string, values ...any) { fmt.Fprintf(&b, l.say(en, zh), values...) }
	p("# What the studies found\n\n[中文](README.zh-CN.md)\n\n", "# 各项研究的结果\n\n[English](README.md)\n\n")
	p("Each row is a rule of thumb about fine-tuning that was put to the test: arms that differ in one thing on the same seeds, and a\ndecision rule that was fixed beforehand. Runs: %d. The P-values of %d primary tests are corrected by Benjamini and Hochberg at\n%g. A verdict is about a small model of a toy world and speaks about no other by itself. All verdicts are in\n[verdicts.json](verdicts.json), the metrics of every run in [numbers.csv](numbers.csv). This repeats it:\n\n```sh\n%s\n```\n\n",
		"每一行是一条关于微调的经验说法及其检验：各组只差一处、种子相同，判定规则事先定好。共 %d 次运行；%d 个主要检验的 P 值按\nBenjamini–Hochberg 校正(水平 %g)。结论只针对玩具世界中的小模型，本身不推及其他模型。全部结论见\n[verdicts.json](verdicts.json)，每次运行的指标见 [numbers.csv](numbers.csv)。复现命令：\n\n```sh\n%s\n```\n\n",
		t.Runs(), t.Tests, t.Level, t.Command)
	b.WriteString(t.markdown(l))
	p("\n## The words\n\n", "\n## 结论用语\n\n")
	for _, o := range outcomes {
		fmt.Fprintf(&b, "- **%s**%s%s%s\n", o.word[l], l.say(": ", "："), o.meaning[l], l.say(".", "。"))
	}
	p("\nThe effect is the mean over seeds of a contrast of arms, paired by seed; the margin is the least effect that matters.\n", "\n效应是各种子上组间对比(按种子配对)的均值；阈值是值得在意的最小效应。\n")
	for _, name := range shown[""] {
		fmt.Fprintf(&b, "\n![%s](pictures/%s)\n", l.say("the effects of all studies", "所有研究的效应"), name)
	}
	for _, name := range comparisons {
		if name == "bases" {
			p("\nThe same on further bases: [bases.md](bases.md).\n", "\n在另外的基座上重复：[bases.md](bases.md)。\n")
			continue
		}
		p("\nThe same from other seeds: [%[1]s.md](%[1]s.md).\n", "\n用其他种子重复：[%[1]s.md](%[1]s.md)。\n", name)
	}
	p("\n## The studies\n", "\n## 各项研究\n")
	for _, r := range t.results {
		t.section(&b, l, r, shown[r.ID])
	}
	return b.String()
}

// section tells all tests of a study.
func (t Table) section(b *strings.Builder, l language, r kept, pictures []string) {
	fmt.Fprintf(b, "\n### %s\n\n", strings.Join(append(slices.Clone(r.Claims), r.Title), " · "))
	if claim := l.of(r.Claim); claim != "" {
		fmt.Fprintf(b, "%s\n\n", claim)
	}
	for _, row := range t.Rows {
		if row.Study != r.ID {
			continue
		}
		fmt.Fprintf(b, "- %s **%s** %s%s%s%s\n", row.ID, l.word(row.Verdict), row.Test, l.say(": ", "："), row.estimate(), l.say(". ", "。")+row.line(l))
	}
	if len(r.Verdicts) == 0 {
		r.pilot(b, l)
	}
	if e := r.Environment; e.CPULevel != "" && r.done() > 0 {
		commit := ""
		if e.Commit != "" {
			commit = fmt.Sprintf(l.say(" at commit %s", "，提交 %s"), e.Commit)
		}
		fmt.Fprintf(b, l.say("\nRun on %s%s.\n", "\n运行环境：%s%s。\n"), e.CPULevel, commit)
	}
	if r.Literature != "" {
		fmt.Fprintf(b, "\n%s%s\n", l.say("To compare with: ", "对照文献："), r.Literature)
	}
	if r.Note != "" && r.Kind != study.NotBuilt {
		fmt.Fprintf(b, "\n%s\n", r.Note)
	}
	for _, name := range pictures {
		fmt.Fprintf(b, "\n![%s](pictures/%s)\n", strings.TrimSuffix(path.Base(name), ".svg"), name)
	}
}

// pilotSeeds are the numbers of seeds that a pilot speaks about: of a quick run, of most
// studies in full, and more.
var pilotSeeds = []int{3, 6, 10}

// pilot tells what metrics can resolve, by a study of noise that decides nothing.
func (k kept) pilot(b *strings.Builder, l language) {
	all, err := k.Resolutions(pilotSeeds...)
	if err != nil || len(all) == 0 {
		return // a metric that is no number in some run has no spread to speak of
	}
	b.WriteString(l.say("The smallest difference between two arms that a number of seeds tells from none four times in five, if the arms of a seed\nhad nothing in common; as they share data and order, mostly less.\n\n",
		"在各组之间毫无共同之处的假设下，若干种子能以五分之四的把握与零区分开的最小组间差异；由于同一种子的各组共用数据与顺序，实际多半更小。\n\n"))
	b.WriteString(l.say("| arm | metric | runs | mean | deviation |", "| 组 | 指标 | 运行数 | 均值 | 标准差 |"))
	for _, n := range pilotSeeds {
		fmt.Fprintf(b, l.say(" %d seeds |", " %d 个种子 |"), n)
	}
	b.WriteString("\n|---|---|--:|--:|--:|" + strings.Repeat("--:|", len(pilotSeeds)) + "\n")
	for _, one := range all {
		fmt.Fprintf(b, "| %s | %s | %d | %s | %s |", one.Arm, one.Metric, one.Runs, short(one.Mean), short(one.SD))
		for _, least := range one.Least {
			fmt.Fprintf(b, " %s |", short(least))
		}
		b.WriteString("\n")
	}
}
