package world

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"

	"gotune/internal/rng"
)

// pairsPerFact is the number of preference pairs for each fact of the pool.
const pairsPerFact = 4

// A grade is how an answer stands to the truth.
type grade int

const (
	wrong grade = iota
	hedged
	correct
)

// longCost is what an answer of more than one sentence loses.
const longCost = 0.5

// Reward returns the true reward of an answer to a question for a subject's
// attribute: 2 if it is correct, which is that it names the value and no other;
// 1 if it is hedged, which is that it names the value among others or says that
// it does not know; 0 if it is wrong; and half a point less where it has more
// than one sentence. So any correct answer is above any hedged one, and that
// above any wrong one.
func (w *World) Reward(subject, attribute, answer string) (float64, error) {
	for _, s := range w.Subjects {
		if s.Name != subject {
			continue
		}
		for a, kind := range s.Kind.attributes() {
			if kind.name == attribute {
				return fact{s, a}.reward(answer), nil
			}
		}
	}
	return 0, fmt.Errorf("the toy world knows no %s of %q", attribute, subject)
}

func (f fact) reward(answer string) float64 {
	right, others := false, false
	values := f.kind().values
	for word := range strings.FieldsFuncSeq(answer, func(c rune) bool { return !unicode.IsLetter(c) }) {
		switch {
		case word == f.value():
			right = true
		case slices.Contains(values, word):
			others = true
		}
	}
	g := wrong
	unsure := strings.Contains(answer, unknown)
	switch {
	case right && !others && !unsure:
		g = correct
	case right, unsure && !others:
		g = hedged
	}
	reward := float64(g)
	if strings.Contains(strings.TrimSpace(answer), ". ") {
		reward -= longCost
	}
	return reward
}

// reply draws an answer of a grade, of one sentence or of several.
func (f fact) reply(r *rng.Stream, g grade, long bool) string {
	value, other := f.value(), f.otherValue(r)
	if g == hedged {
		two := shuffled(r, []string{value, other})
		parts := shuffled(r, []string{f.answerWith(two[0] + " or " + two[1]), unknown})
		if long {
			return strings.Join(parts, " ")
		}
		return parts[0]
	}
	if g == wrong {
		value = other
	}
	answer := f.answerWith(value)
	if !long {
		return answer
	}
	statements := shuffled(r, f.kind().statements)
	return answer + " " + f.subject.fill(statements[0], value) + " " + f.subject.fill(statements[1], value)
}

// pair renders two answers of different reward to a question, the better one as
// chosen.
func pair(r *rng.Stream, f fact) Row {
	q := pick(r, f.kind().wordings(W0))
	row := question(f, q)
	user := row.Messages[0].Content
	row.Prompt, row.Messages = user, nil
	two := r.Perm(6)[:2]
	var answers [2]string
	var scores [2]float64
	for i, k := range two {
		answers[i] = f.reply(r, grade(k/2), k%2 == 1)
		scores[i] = f.reward(answers[i])
	}
	if scores[0] < scores[1] {
		slices.Reverse(answers[:])
		slices.Reverse(scores[:])
	}
	row.Chosen, row.Rejected = dialogue(user, answers[0]).Messages, dialogue(user, answers[1]).Messages
	row.ScoreChosen, row.ScoreRejected = &scores[0], &scores[1]
	return row
}

// preference yields pairs of answers about the pool. With noise a share of the
// labels is swapped; the pairs are the same at every share, and those swapped at
// a smaller share are among those at a larger one.
func (w *World) preference(o options) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r, bad := rng.New(w.Seed, "world", "preference"), rng.New(w.Seed, "world", "preference", "noise")
		pool := facts(w.of(Pool))
		for range pairsPerFact {
			for _, f := range shuffled(r, pool) {
				row := pair(r, f)
				if bad.Float64() < o.noise {
					row.Chosen, row.Rejected = row.Rejected, row.Chosen
					row.ScoreChosen, row.ScoreRejected = row.ScoreRejected, row.ScoreChosen
					row.Fault = "swapped"
				}
				if !yield(row) {
					return
				}
			}
		}
	}
}

// preferenceHeldOut yields a pair for each fact that no training text asks for.
func (w *World) preferenceHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := rng.New(w.Seed, "world", "preference-heldout")
		for _, f := range shuffled(r, facts(w.of(Never))) {
			if !yield(pair(r, f)) {
				return
			}
		}
	}
}
