package suite

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gotune/study"
)

// A language is one of those that results are told in.
type language int

const (
	english language = iota
	chinese
)

// outcomes are the words for outcomes, and what they mean.
var outcomes = []struct {
	outcome string
	word    [2]string
	meaning [2]string
}{
	{study.Supported, [2]string{"supported", "支持"}, [2]string{
		"the 95 % interval lies on the side that the claim expects and the estimate is at or beyond the margin; where no difference is expected, the 90 % interval lies inside the margin; where something is to be no worse, the 95 % interval stays short of the margin on the bad side",
		"95 % 区间落在该说法预期的一侧，且估计值达到或超过阈值；若预期为“无差别”，则 90 % 区间落在阈值之内；若预期为“不更差”，则 95 % 区间在变差一侧不超出阈值"}},
	{study.Contradicted, [2]string{"contradicted", "相反"}, [2]string{
		"the whole 95 % interval lies short of what the claim expects",
		"整个 95 % 区间都达不到该说法的预期"}},
	{study.Inconclusive, [2]string{"inconclusive", "无定论"}, [2]string{
		"the interval allows both; or the test alone was supported, and not after the correction for the number of tests",
		"区间两种可能都容许；或单独检验时支持，但经多重检验校正后不再成立"}},
	{study.Insensitive, [2]string{"insensitive", "不灵敏"}, [2]string{
		"a check of the set-up failed: what had to move did not (a ceiling, a floor, a flat curve), and the test says nothing",
		"设置的检查未通过：本应变化的量没有变化(触顶、触底或曲线平坦)，检验因此不说明问题"}},
	{study.Holds, [2]string{"holds", "成立"}, [2]string{
		"of an identity or of bookkeeping: so on every seed; there is no P-value",
		"恒等式或核算：在每个种子上都如此，不涉及 P 值"}},
	{study.Fails, [2]string{"fails", "不成立"}, [2]string{
		"of an identity or of bookkeeping: not so on some seed",
		"恒等式或核算：至少在一个种子上不如此"}},
	{study.NotRun, [2]string{"not run", "未运行"}, [2]string{
		"the runs did not fit into the budget, or failed, or a quick run leaves them out",
		"预算容不下，或运行失败，或快速模式将其略去"}},
	{study.NotBuiltYet, [2]string{"not built yet", "尚未实现"}, [2]string{
		"the study needs a method that is not there yet",
		"该研究需要尚未实现的方法"}},
}

// word is an outcome in a language.
func (l language) word(outcome string) string {
	for _, o := range outcomes {
		if o.outcome == outcome {
			return o.word[l]
		}
	}
	return outcome
}

// of is a text in a language; in English where there is no other.
func (l language) of(t study.Text) string {
	if l == chinese && t.Chinese != "" {
		return t.Chinese
	}
	return t.English
}

// say is the text of a language.
func (l language) say(en, zh string) string { return [2]string{en, zh}[l] }

// expected is what a test expects.
func (r Row) expected(l language) string {
	words := map[string]string{"above": "高于 0", "below": "低于 0", "equal": "相等", "different": "不同", "not-below": "不低于", "not-above": "不高于"}
	expect := l.say(r.Expect, words[r.Expect])
	if l == chinese && expect == "" {
		expect = strings.NewReplacer("contains", "区间含", "excludes", "不含").Replace(r.Expect)
	}
	if r.Margin > 0 {
		expect += l.say(", margin ", "，阈值 ") + short(r.Margin)
	}
	return expect
}

// Line is one line of reading.
func (r Row) line(l language) string {
	what := r.verdict.Metric + l.say(" of ", "：") + r.verdict.Contrast
	why := strings.TrimPrefix(strings.TrimPrefix(r.Reading, r.Verdict), ": ")
	switch r.Verdict {
	case study.NotRun, study.NotBuiltYet:
		return why
	case study.Insensitive:
		check, _, _ := strings.Cut(why[strings.Index(why, ": check ")+1:], ";")
		return strings.TrimSpace(l.say("a check of the set-up failed: ", "设置的检查未通过：") + strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(check), "check")))
	case study.Holds, study.Fails:
		return what
	}
	text := what + l.say("; expected ", "；预期：") + r.expected(l)
	if parts := r.verdict.Parts; len(parts) > 0 {
		came := 0
		for _, p := range parts {
			if p.Outcome == study.Supported || p.Outcome == study.Holds {
				came++
			}
		}
		text = fmt.Sprintf(l.say("%d of %d parts came out; ", "%d / %d 部分成立；"), came, len(parts))
		if r.verdict.Shown != "" {
			text += fmt.Sprintf(l.say("the figures are of %s: ", "所列数值属于 %s："), r.verdict.Shown)
		}
		text += r.verdict.Metric + l.say("; expected ", "；预期：") + r.expected(l)
	}
	switch {
	case r.verdict.Alone != "":
		text += fmt.Sprintf(l.say("; supported alone, but P = %.2g over the suite", "；单独检验时支持，但全套校正后 P = %.2g"), r.PSuite)
	case strings.Contains(r.Reading, "alone it would be supported"): // before Holm's correction
		text += fmt.Sprintf(l.say("; supported alone, but P = %.2g over the study's tests", "；单独检验时支持，但研究内校正后 P = %.2g"), r.PHolm)
	case r.Needs > 0:
		text += fmt.Sprintf(l.say("; %d seeds would decide", "；约需 %d 个种子才能判定"), r.Needs)
	}
	if r.Provisional {
		text += l.say("; provisional", "；初步结论")
	}
	return text
}

// estimate is the effect and its interval.
func (r Row) estimate() string {
	switch {
	case r.Seeds == 0:
		return "–"
	case r.Interval[0] == r.Interval[1]:
		return short(r.Effect)
	}
	return fmt.Sprintf("%s [%s, %s]", short(r.Effect), short(r.Interval[0]), short(r.Interval[1]))
}

// short writes a number with three digits.
func short(x float64) string {
	switch a := math.Abs(x); {
	case a >= 1e5 || a > 0 && a < 1e-4:
		return strconv.FormatFloat(x, 'e', 2, 64)
	case a >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// cell is a text in a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
