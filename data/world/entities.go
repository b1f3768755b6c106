package world

import (
	"strings"

	"gotune/internal/rng"
)

// Third says what of a subject's questions a model may meet.
type Third int

// The thirds of the people, and likewise of the things. Of the drugs half are in
// the pool and half are never asked about.
const (
	Asked Third = iota // asked about in the pre-training text
	Pool               // asked about in the tuning rows
	Never              // asked about in the held-out questions alone
)

// String returns asked, pool or never.
func (t Third) String() string { return [...]string{"asked", "pool", "never"}[t] }

// Kind is what a subject is: a person, a thing or a drug.
type Kind int

// The kinds of subject.
const (
	Person Kind = iota
	Thing
	Drug
)

// How many subjects of each kind there are; both divide by three.
const (
	People = 480
	Things = 120
)

func (k Kind) attributes() []attribute {
	return [...][]attribute{personAttributes, thingAttributes, drugAttributes}[k]
}

// A Subject is somebody or something that facts are told of.
type Subject struct {
	Kind  Kind
	Name  string   // "Mira Adler" or "humming kettle" or "Falk wax"; no two subjects share one
	Third Third    //
	Facts []string // the value of each attribute of the kind, in its order
}

// mention returns the subject as it stands inside a sentence.
func (s *Subject) mention() string {
	if s.Kind == Person {
		return s.Name
	}
	return "the " + s.Name
}

// fill writes the subject and a value into a pattern.
func (s *Subject) fill(pattern, value string) string {
	m := s.mention()
	if rest, ok := strings.CutPrefix(pattern, "{N}"); ok {
		pattern = strings.ToUpper(m[:1]) + m[1:] + rest
	} else {
		pattern = strings.Replace(pattern, "{n}", m, 1)
	}
	return strings.Replace(pattern, "{v}", value, 1)
}

// statement tells the subject's fact number a by the attribute's statement t.
func (s *Subject) statement(a, t int) string {
	return s.fill(s.Kind.attributes()[a].statements[t], s.Facts[a])
}

// A wording is the pattern of one question, with {n} for the subject.
type wording struct {
	level   Level
	pattern string
}

// wordings returns the questions of an attribute that stand at the levels, in
// a fixed order.
func (a *attribute) wordings(levels ...Level) []wording {
	var out []wording
	for _, l := range levels {
		for _, p := range a.direct[directAt[l][0]:directAt[l][1]] {
			if p != "" {
				out = append(out, wording{l, p})
			}
		}
		for _, c := range cells[l] {
			out = append(out, wording{l, strings.Replace(frames[c[0]], "{p}", a.phrases[c[1]], 1)})
		}
	}
	return out
}

// subjects draws n people or things, each a third of them asked about here, in
// the pool, and never.
func subjects(seed uint64, kind Kind, n int) []*Subject {
	first, last, label := givenNames, familyNames, "people"
	if kind == Thing {
		first, last, label = thingLooks, thingNouns, "things"
	}
	out := deal(kind, n, first, last, func(what string) *rng.Stream { return rng.New(seed, "world", label, what) })
	for i, s := range out {
		s.Third = Third(i * 3 / n)
	}
	return out
}

// deal draws n subjects of a kind: different pairs of a first and a last word,
// and every value of an attribute about equally often. Names and each attribute
// have a stream of their own.
func deal(kind Kind, n int, first, last []string, stream func(what string) *rng.Stream) []*Subject {
	out := make([]*Subject, n)
	for i, pair := range stream("names").Perm(len(first) * len(last))[:n] {
		out[i] = &Subject{Kind: kind, Name: first[pair/len(last)] + " " + last[pair%len(last)]}
	}
	for _, a := range kind.attributes() {
		// Dealing the values like cards keeps each third's shares even.
		r := stream(a.name)
		for i := 0; i < n; i += len(a.values) {
			for j, v := range r.Perm(len(a.values)) {
				if i+j < n {
					out[i+j].Facts = append(out[i+j].Facts, a.values[v])
				}
			}
		}
	}
	return out
}
