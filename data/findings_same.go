package data

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

	"gotune/data/rows"
)

// Rows are the same where a 64-bit hash of their ids is. Among a million rows two
// different ones have the same hash with a probability of 3e-8.
var hashSeed = maphash.MakeSeed()

func hashOf(ids []int32) uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	var buffer [1024]byte
	for len(ids) > 0 {
		n := min(len(ids), len(buffer)/4)
		for i, id := range ids[:n] {
			binary.LittleEndian.PutUint32(buffer[4*i:], uint32(id))
		}
		h.Write(buffer[:4*n])
		ids = ids[n:]
	}
	return h.Sum64()
}

// A fingerprint of a row: all its tokens, and those before the first answer.
type print struct {
	whole, prompt uint64
	asked         bool // there is a prompt
	at            rows.Location
}

// prints calls yield for every row that is kept, the pieces of a text as one.
func (d *Dataset) prints(yield func(print)) {
	for i := 0; i < len(d.spans); {
		first := d.spans[i]
		last := first
		for i++; i < len(d.spans) && d.spans[i].row == first.row; i++ {
			last = d.spans[i]
		}
		p := print{whole: hashOf(d.ids[first.start:last.end]), at: first.at, asked: first.prompt > 0}
		if p.asked {
			p.prompt = hashOf(d.ids[first.start : first.start+first.prompt])
		}
		yield(p)
	}
}

// duplicates counts the rows that stand in the dataset before.
func (d *Dataset) duplicates(r *Report) {
	seen := make(map[uint64]bool, len(d.spans))
	d.prints(func(p print) {
		if seen[p.whole] {
			r.Duplicates++
			note(&r.FirstDuplicates, p.at)
		}
		seen[p.whole] = true
	})
}

// Overlaps returns what is found about rows of held-out data that are training
// data too: the same tokens, and the same prompts with whatever answer. Neither
// stops: a model learns all the same, but the scores tell what it remembers. Where
// that is so of more than half of the rows, the finding warns.
func Overlaps(heldOut *Dataset, training ...*Dataset) []Finding {
	wholes, prompts := make(map[uint64]bool), make(map[uint64]bool)
	for _, d := range training {
		d.prints(func(p print) {
			wholes[p.whole] = true
			if p.asked {
				prompts[p.prompt] = true
			}
		})
	}
	var rowsSeen, promptsSeen, asked, all int
	var firstRows, firstPrompts []rows.Location
	heldOut.prints(func(p print) {
		all++
		if wholes[p.whole] {
			rowsSeen++
			note(&firstRows, p.at)
		}
		if !p.asked {
			return
		}
		asked++
		if prompts[p.prompt] {
			promptsSeen++
			note(&firstPrompts, p.at)
		}
	})
	var found []Finding
	if rowsSeen > 0 {
		meaning, most := "", 2*rowsSeen > all
		if most {
			meaning = ", so that their scores show what is remembered and not what is learned"
		}
		found = append(found, Finding{Name: Overlap, Warns: most, Text: fmt.Sprintf("%d of %d held-out rows (%.1f %%) are rows of the training data too%s: %s",
			rowsSeen, all, percent(rowsSeen, all), meaning, places(firstRows, rowsSeen))})
	}
	// Rows that are the same have the same prompt; only more than these is news.
	if promptsSeen > rowsSeen {
		found = append(found, Finding{Name: PromptOverlap, Text: fmt.Sprintf("%d of %d held-out prompts (%.1f %%) are prompts of the training data too: %s",
			promptsSeen, asked, percent(promptsSeen, asked), places(firstPrompts, promptsSeen))})
	}
	return slices.Clip(found)
}
