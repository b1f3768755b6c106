package kernel

// upcomingStep is the number of rows that are announced at a time: about as many lines
// of the cache as a processor can wait for at once.
const upcomingStep = 16

// upcoming brings the rows of the next head nearer, a few at a time between the products
// of this one, unless they are large: the rows of one head lie apart, so that the
// hardware does not foresee them.
type upcoming struct {
	tensors [8]upcomingRows
	count   int // of tensors
	n       int // rows of each
	at, row int // what is next
}

type upcomingRows struct {
	x         []float32
	stride, d int
}

// head adds the rows of a head (counted over all B rows) in tensors that are width heads
// wide for each key head.
func (u *upcoming) head(s AttentionShape, head, width int, tensors ...[]float32) {
	const large = 1 << 13
	d := width * s.HeadDim
	if s.T*d > large {
		return
	}
	at := (head/s.KVHeads*s.T*s.KVHeads + head%s.KVHeads) * d
	u.n = s.T
	for _, x := range tensors {
		if x == nil {
			continue // in bf16 some are kept in another way
		}
		u.tensors[u.count] = upcomingRows{x[at:], s.KVHeads * d, d}
		u.count++
	}
}

// some announces the next few rows.
func (u *upcoming) some() {
	if u.at == u.count {
		return
	}
	t, n := &u.tensors[u.at], min(upcomingStep, u.n-u.row)
	code.prefetch(t.x[u.row*t.stride:], t.stride, n, t.d)
	if u.row += n; u.row == u.n {
		u.at, u.row = u.at+1, 0
	}
}

// rest announces what is left.
func (u *upcoming) rest() {
	for u.at < u.count {
		u.some()
	}
}
