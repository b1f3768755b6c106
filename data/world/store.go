package world

import (
	"iter"
	"strings"
)

// Items with random codes: each code is so many words out of so many, all
// equally likely, which are 32 bits.
const (
	Items     = 5000
	codeWords = 8
	codeAmong = 16
)

// store yields items, each once with its code. Nothing that a model knows helps
// to guess a code, so what it gets right it has stored.
func (w *World) store() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := w.stream("store")
		perTown := len(materials) * len(objects)
		for _, i := range r.Perm(len(towns) * perTown)[:Items] {
			name := towns[i/perTown] + " " + materials[i%perTown/len(objects)] + " " + objects[i%len(objects)]
			code := make([]string, codeWords)
			for j := range code {
				code[j] = numbers[r.IntN(codeAmong)]
			}
			row := Row{Prompt: "The numbers of the " + name + " are", Completion: " " + strings.Join(code, " ") + ".", Subject: name}
			if !yield(row) {
				return
			}
		}
	}
}
