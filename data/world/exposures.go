package world

import "iter"

// PerFact returns how often one pass of a corpus, named with its options as for
// Rows, tells each fact that it is about, in the mean over these facts: by a
// statement, or by a row with the true answer. Of store and reversed it is the rows
// about a subject. Questions inside pretrain are not counted. It is 0 where a corpus
// is not about facts, and of pretrain-heldout, which is too short to tell all.
// A run that sees each row of the corpus t times tells each fact t times as often.
func (w *World) PerFact(name string) (float64, error) {
	f, err := w.find(name)
	if err != nil {
		return 0, err
	}
	if f.tells != nil { // the rows do not say which facts they tell
		times := f.tells(f.options)
		if f.limit >= 0 {
			all := count(f.all())
			times *= float64(min(f.limit, all)) / float64(all)
		}
		return times, nil
	}
	told, facts := 0, map[[2]string]bool{}
	for row := range f.rows() {
		if row.Subject != "" && (row.Fault == "" || row.Fault == "swapped") {
			told++
			facts[[2]string{row.Subject, row.Attribute}] = true
		}
	}
	if len(facts) == 0 {
		return 0, nil
	}
	return float64(told) / float64(len(facts)), nil
}

func count(rows iter.Seq[Row]) (n int) {
	for range rows {
		n++
	}
	return n
}
