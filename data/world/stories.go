package world

import (
	"slices"
	"strings"

	"gotune/internal/rng"
)

// The sentences of a story, phase by phase: {a} and {b} are two characters,
// {p} and {q} two places, {o} and {x} two objects, {f} a feeling, {m} a food,
// {k} a pet, {g} and {h} two numbers, {u} something nobody is told.
var plot = [][]string{
	{
		"One day {a} went to the {p}.",
		"{a} and {b} were at the {p}.",
		"It was a warm morning and {a} was {f}.",
		"Once there was a child called {a}.",
		"{a} wanted to see the {p}.",
	},
	{
		"There {a} met {b}.",
		"{a} had a {o} and {b} had a {x}.",
		"On the way {a} saw a {k}.",
		"{b} was there too, with some {m}.",
		"They sat down and shared the {m}.",
		"\"Where is my {o}?\" asked {b}.",
		"A {k} came out of the {p} and looked at them.",
		"{a} counted {g} birds and {b} counted {h}.",
	},
	{
		"Then the {o} fell into the water.",
		"The {k} ran off with the {o}.",
		"\"What is the {u} of the king?\" asked {b}. \"I do not know,\" said {a}.",
		"\"Can you tell me the {u} of that {k}?\" asked {a}. \"I do not know,\" said {b}.",
		"{b} could not find the {o} and felt {f}.",
		"They walked from the {p} to the {q}, but the {x} was gone.",
		"It began to rain and {a} was {f}.",
		"\"Which is more, {g} or {h}?\" asked {a}, but {b} was {f}.",
	},
	{
		"{b} gave {a} the {x}.",
		"{a} pulled with the {o} until it was done.",
		"The {k} brought it back, for it was only {f}.",
		"They looked in the {q} and there it was.",
		"\"Please take my {x}, then,\" said {a}.",
		"\"You can have {g} of mine,\" said {b}.",
	},
	{
		"In the end {a} was {f} and {b} was not.",
		"So {a} and {b} went home.",
		"After that they ate {m} and slept.",
		"From then on {a} and {b} were friends.",
		"And {a} never lost a {o} again.",
	},
}

// story tells of two characters in eight or so sentences.
func story(r *rng.Stream) string {
	who, where, what, many := r.Perm(len(characters)), r.Perm(len(places)), r.Perm(len(objects)), r.Perm(len(numbers))
	fill := strings.NewReplacer(
		"{a}", characters[who[0]], "{b}", characters[who[1]],
		"{p}", places[where[0]], "{q}", places[where[1]],
		"{o}", objects[what[0]], "{x}", objects[what[1]],
		"{g}", numbers[many[0]], "{h}", numbers[many[1]],
		"{f}", pick(r, feelings), "{m}", pick(r, foods), "{k}", pick(r, pets), "{u}", pick(r, unknowables),
	)
	var sentences []string
	for _, phase := range plot {
		for _, i := range r.Perm(len(phase))[:1+r.IntN(2)] {
			sentences = append(sentences, fill.Replace(phase[i]))
		}
	}
	return strings.Join(sentences, " ")
}

// categories are the words that a choice is made among.
var categories = []struct {
	name  string
	words []string
}{
	{"pet", pets}, {"food", foods}, {"instrument", instruments}, {"town", towns},
	{"job", jobs}, {"room", rooms}, {"month", months}, {"material", materials},
}

// ascending returns the numbers of the ranks from small to large, in words.
func ascending(ranks []int) []string {
	ranks = slices.Sorted(slices.Values(ranks))
	out := make([]string, len(ranks))
	for i, n := range ranks {
		out[i] = numbers[n]
	}
	return out
}

// listing joins words by commas, with an "and" before the last.
func listing(words []string) string {
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// drill is a plain exercise: the order and size of numbers, saying again, what
// belongs to which kind, what is in a list.
func drill(r *rng.Stream) string {
	lines := make([]string, 0, 6)
	for range 6 {
		ranks := r.Perm(len(numbers))[:3+r.IntN(2)]
		given := make([]string, len(ranks))
		for i, n := range ranks {
			given[i] = numbers[n]
		}
		switch r.IntN(6) {
		case 0:
			lines = append(lines, "The numbers "+listing(given)+" from small to large are "+strings.Join(ascending(ranks), ", ")+".")
		case 1:
			two := ascending(ranks[:2])
			lines = append(lines, "Of the numbers "+given[0]+" and "+given[1]+", "+two[1]+" is more and "+two[0]+" is less.")
		case 2:
			word := pick(r, pick(r, categories).words)
			lines = append(lines, "Repeat "+word+" three times: "+word+" "+word+" "+word+".")
		case 3:
			c := pick(r, categories)
			lines = append(lines, "The kind of the word "+pick(r, c.words)+" is "+c.name+".")
		case 4:
			kinds := r.Perm(len(categories))[:3]
			words := make([]string, 3)
			for i, k := range kinds {
				words[i] = pick(r, categories[k].words)
			}
			i := r.IntN(3)
			lines = append(lines, "Choose the "+categories[kinds[i]].name+" out of "+listing(words)+": "+words[i]+".")
		case 5:
			what := r.Perm(len(objects))[:3]
			words := []string{objects[what[0]], objects[what[1]], objects[what[2]]}
			lines = append(lines, pick(r, characters)+" has a "+words[0]+", a "+words[1]+" and a "+words[2]+". List them: "+strings.Join(words, ", ")+".")
		}
	}
	return strings.Join(lines, "\n")
}
