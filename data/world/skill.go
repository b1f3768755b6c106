package world

import (
	"iter"
	"slices"
	"strings"

	"gotune/internal/rng"
)

// The sizes of the corpora of new skills, and how many sums are held out of the
// hundred that there are.
const (
	skillRows     = 1000 // lists to reverse, and as many to sort
	skillHeldOut  = 120  // of each
	heldOutSums   = 20
	largestNumber = 20
)

// A skill is something that pre-training never shows, asked in known words. An
// exercise is what it is asked of, ready to be told, and its answer.
type skill struct {
	name   string
	frames []string
	draw   func(*rng.Stream) (exercise, answer string)
}

var skills = []skill{
	{"reverse", []string{"Say {x} from the end.", "List {x} from the end.", "Name {x} from the end, please."}, func(r *rng.Stream) (string, string) {
		list := numbers
		if r.IntN(2) == 0 {
			list = objects
		}
		words := shuffled(r, list)[:3+r.IntN(3)]
		turned := slices.Clone(words)
		slices.Reverse(turned)
		return listing(words), strings.Join(turned, ", ")
	}},
	{"descend", []string{"Say {x} from large to small.", "Name the numbers {x} from large to small."}, func(r *rng.Stream) (string, string) {
		ranks := r.Perm(len(numbers))[:3+r.IntN(3)]
		given := make([]string, len(ranks))
		for i, n := range ranks {
			given[i] = numbers[n]
		}
		falling := ascending(ranks)
		slices.Reverse(falling)
		return listing(given), strings.Join(falling, ", ")
	}},
}

// sumFrames ask for the sum of two numbers, {x}.
var sumFrames = []string{"What are {x} in all?", "Say what {x} make.", "Name the number that {x} make."}

// exercises draws so many different exercises of a skill that are not in taken,
// each in one of the frames.
func (s skill) exercises(r *rng.Stream, n int, taken map[string]bool) []Row {
	var rows []Row
	for len(rows) < n {
		x, answer := s.draw(r)
		if taken[x] {
			continue
		}
		taken[x] = true
		rows = append(rows, exercise(s.name, pick(r, s.frames), x, answer))
	}
	return rows
}

func exercise(task, frame, x, answer string) Row {
	row := dialogue(strings.Replace(frame, "{x}", x, 1), answer)
	row.Task = task
	return row
}

// sums asks for the sums of pairs of numbers in both orders, all of them up to
// twenty, those held out or the others.
func (w *World) sums(r *rng.Stream, heldOut bool) []Row {
	var pairs [][2]int
	for a := 1; a < largestNumber; a++ {
		for b := a; a+b <= largestNumber; b++ {
			pairs = append(pairs, [2]int{a, b})
		}
	}
	pairs = shuffled(rng.New(w.Seed, "world", "skill", "sums"), pairs)
	frames := sumFrames
	if heldOut {
		pairs, frames = pairs[:heldOutSums], sumFrames[:1]
	} else {
		pairs = pairs[heldOutSums:]
	}
	var rows []Row
	for _, p := range pairs {
		for _, q := range [][2]int{p, {p[1], p[0]}} {
			for _, frame := range frames {
				rows = append(rows, exercise("add", frame, numbers[q[0]-1]+" and "+numbers[q[1]-1], numbers[p[0]+p[1]-1]))
			}
			if p[0] == p[1] {
				break
			}
		}
	}
	return shuffled(r, rows)
}

// skillRowsOf draws the rows of skill, and of skill-heldout if that is asked for,
// which has no list that skill has.
func (w *World) skillRowsOf(heldOut bool) []Row {
	r, held := rng.New(w.Seed, "world", "skill"), rng.New(w.Seed, "world", "skill-heldout")
	taken := map[string]bool{}
	var rows, other []Row
	for _, s := range skills {
		rows = append(rows, s.exercises(r, skillRows, taken)...)
	}
	if !heldOut {
		return shuffled(r, append(rows, w.sums(r, false)...))
	}
	for _, s := range skills {
		other = append(other, s.exercises(held, skillHeldOut, taken)...)
	}
	return shuffled(held, append(other, w.sums(held, true)...))
}

// skill yields exercises in three abilities that pre-training does not show: to
// say a list from its end, to sort numbers from large to small, to add.
func (w *World) skill() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		slices.Values(w.skillRowsOf(false))(yield)
	}
}

// skillHeldOut yields exercises on lists and sums that skill does not have.
func (w *World) skillHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		slices.Values(w.skillRowsOf(true))(yield)
	}
}
