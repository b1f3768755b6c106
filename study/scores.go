package study

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"gotune/data"
	"gotune/data/world"
	"gotune/train"
)

// A rowScore is what teacher forcing says of a row.
type rowScore struct {
	nll     float64 // of its target tokens, in nats
	tokens  int     // targets
	asked   bool    // it has a prompt
	exact   bool    // every target has the largest logit
	wording string
}

// scores are measures of the model that a run ends with.
var scores = []Measure{
	{Family: "score", Name: "exact_match", Unit: "share", Better: "higher", rows: exactMatch,
		Definition: "share of rows with a prompt whose every target token has the largest logit, which is when greedy generation gives the wanted text"},
	{Family: "score", Name: "log_probability", Unit: "nats a row", Better: "higher", rows: logProbability,
		Definition: "mean over rows with a prompt of the log-probability of all target tokens of a row"},
	{Family: "score", Name: "loss", Unit: "nats a token", Better: "lower", rows: meanLoss,
		Definition: "mean negative log-likelihood of the target tokens"},
	{Family: "score", Name: "bits", Unit: "bits", Better: "higher", rows: bitsStored, Needs: "prior",
		Definition: "Σ over rows of max(0, prior − nll/ln 2): what the model knows of answers that take prior bits each to tell (Allen-Zhu & Li 2024, Physics of Language Models 3.3)"},
	{Family: "score", Name: "generated_match", Unit: "share", Better: "higher", answers: generatedMatch,
		Definition: "share of questions, spread over the data, that greedy generation answers with the wanted text"},
	{Family: "score", Name: "format", Unit: "share", Better: "higher", answers: validForm,
		Definition: "share of greedily generated answers that end by themselves and have the wanted form: that of pattern, else the lines, keys and full stop of the wanted answer"},
}

var errNoPrompt = errors.New("the data has no rows with a prompt")

// asked are the rows with a prompt.
func asked(all []rowScore) (some []rowScore, err error) {
	for _, r := range all {
		if r.asked {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		return nil, errNoPrompt
	}
	return some, nil
}

func exactMatch(all []rowScore, _ MetricSpec) (float64, error) {
	rows, err := asked(all)
	right := 0
	for _, r := range rows {
		if r.exact {
			right++
		}
	}
	return float64(right) / float64(len(rows)), err
}

func logProbability(all []rowScore, _ MetricSpec) (float64, error) {
	rows, err := asked(all)
	sum := 0.0
	for _, r := range rows {
		sum -= r.nll
	}
	return sum / float64(len(rows)), err
}

func meanLoss(all []rowScore, _ MetricSpec) (float64, error) {
	sum, tokens := 0.0, 0
	for _, r := range all {
		sum, tokens = sum+r.nll, tokens+r.tokens
	}
	if tokens == 0 {
		return 0, errors.New("the data has no target")
	}
	return sum / float64(tokens), nil
}

func bitsStored(all []rowScore, m MetricSpec) (float64, error) {
	rows, err := asked(all)
	sum := 0.0
	for _, r := range rows {
		sum += math.Max(0, m.Prior-r.nll/math.Ln2)
	}
	return sum, err
}

func generatedMatch(answers []train.Answer, _ MetricSpec) (float64, error) {
	right := 0
	for _, a := range answers {
		if a.Got == a.Want {
			right++
		}
	}
	return share(right, answers)
}

func validForm(answers []train.Answer, m MetricSpec) (float64, error) {
	pattern, err := regexp.Compile(m.Pattern)
	if err != nil {
		return 0, err
	}
	valid := 0
	for _, a := range answers {
		fits := world.SameForm(a.Want, a.Got)
		if m.Pattern != "" {
			fits = pattern.MatchString(a.Got)
		}
		if fits && a.Ended {
			valid++
		}
	}
	return share(valid, answers)
}

func share(n int, answers []train.Answer) (float64, error) {
	if len(answers) == 0 {
		return 0, errNoPrompt
	}
	return float64(n) / float64(len(answers)), nil
}

// score computes a score of a model on data.
func (m MetricSpec) score(ctx context.Context, t *tuned, paths []string) (float64, error) {
	d, err := t.open(ctx, m, paths)
	if err != nil {
		return 0, err
	}
	if m.Measure.answers != nil {
		answers, err := t.answers(ctx, d, m.Questions)
		if err != nil {
			return 0, err
		}
		return m.Measure.answers(answers, m)
	}
	rows, err := t.rows(ctx, d, m)
	if err != nil {
		return 0, err
	}
	x, err := m.Measure.rows(rows, m)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", strings.Join(paths, ", "), err)
	}
	return x, nil
}

// rows evaluates a dataset.
func (t *tuned) rows(ctx context.Context, d *data.Dataset, m MetricSpec) ([]rowScore, error) {
	e := train.NewEvaluator(t.model, t.project, nil)
	if id, ok := t.tokenizer.EOS(); ok && m.IgnoreEOS {
		e.IgnoreEOS(id)
	}
	var all []rowScore
	err := e.Each(ctx, d, func(r train.RowScore) error {
		x := d.Example(r.Example)
		if m.Wording != "" && x.Wording != m.Wording {
			return nil
		}
		s := rowScore{asked: x.Prompt > 0, exact: r.Exact, tokens: len(r.NLL), wording: x.Wording}
		for _, v := range r.NLL {
			s.nll += float64(v)
		}
		all = append(all, s)
		return nil
	})
	return all, err
}
