package rows

import "errors"

// A RowError is what is wrong with one row. The rows after it can be read.
type RowError struct {
	At    Location
	Index int // of the row, as in Row
	err   error
}

// Error says where the row stands and what is wrong.
func (e *RowError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e *RowError) Unwrap() error { return e.err }

// A broken record is an error of a decoder that can go on after it.
type broken struct{ error }

func (b broken) Unwrap() error { return b.error }

// tried is how many rows are looked at for one that shows what a file holds.
const tried = 100

// firstGood returns the first row without an error; where there is none, the first
// error. A pipe gives each row once, so there its first row has to be good.
func (in *stream) firstGood() (*Row, error) {
	row, first := in.next()
	var wrong *RowError
	for n := 1; errors.As(first, &wrong) && !in.once && n < tried; n++ {
		row, err := in.next()
		if err == nil {
			return row, nil
		}
		if !errors.As(err, &wrong) {
			break
		}
	}
	return row, first
}
