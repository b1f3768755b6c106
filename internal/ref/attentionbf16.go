package ref

// A Product is C = A·B, or old + A·B: [MatMulBF16] or [MatMulTiles].
type Product func(m, n, k int, a, b func(i, j int) float32, old []float32) []float32

// head is a query head of one row as matrices [T, HeadDim].
type head struct {
	s              AttentionShape
	row, h         int
	seen           func(i, j int) bool
	q, k, v, o, do func(i, e int) float32
	product        Product
}

func eachHead(s AttentionShape, positions []int32, product Product, o, do, q, k, v []float32, use func(head)) {
	for b := range s.B {
		for h := range s.Heads {
			view := func(x []float32, heads, h int) func(i, e int) float32 {
				return func(i, e int) float32 { return x[((b*s.T+i)*heads+h)*s.HeadDim+e] }
			}
			kv := h / (s.Heads / s.KVHeads)
			use(head{
				s: s, row: b * s.T, h: h, product: product,
				seen: func(i, j int) bool { return j <= i && j >= i-int(positions[b*s.T+i]) },
				q:    view(q, s.Heads, h), k: view(k, s.KVHeads, kv), v: view(v, s.KVHeads, kv),
				o: view(o, s.Heads, h), do: view(do, s.Heads, h),
			})
		}
	}
}

func transposed(x func(i, j int) float32) func(i, j int) float32 {
	return func(i, j int) float32 { return x(j, i) }
}

// square is a matrix [T, T].
func (h head) square(x []float32) func(i, j int) float32 {
	return func(i, j int) float32 { return x[i*h.s.T+j] }
}

// put sets the rows of a head to x.
func (h head) put(into, x []float32, heads, head int) {
	for i := range h.s.T {
		copy(into[((h.row+i)*heads+head)*h.s.HeadDim:], x[i*h.s.HeadDim:(i+1)*h.s.HeadDim])
	}
}

// AttentionBF16 is Attention of whole matrices [T, T] whose products are made by product.
// What a query does not see is 0 in the matrix of exponentials.
func AttentionBF16(product Product, o, lse, q, k, v []float32, positions []int32, s AttentionShape) {
	eachHead(s, positions, product, o, o, q, k, v, func(h head) {
		T, d := s.T, s.HeadDim
		scores := product(T, T, d, h.q, transposed(h.k), nil)
		sums := make([]float32, T)
		for i := range T {
			row := scores[i*T : (i+1)*T]
			first := i - int(positions[h.row+i])
			for j := first; j <= i; j++ {
				row[j], _ = s.score(row[j])
			}
			largest, sum := softmax(row[first:i+1], 1)
			sums[i], lse[(h.row+i)*s.Heads+h.h] = sum, logSum(largest, sum)
			clear(row[:first])
			clear(row[i+1:])
		}
		out := product(T, d, T, h.square(scores), h.v, nil)
		for i := range out {
			out[i] = mul32(out[i], 1/sums[i/d])
		}
		h.put(o, out, s.Heads, h.h)
	})
}

// AttentionBackwardBF16 is AttentionBackward of whole matrices, with o rounded.
func AttentionBackwardBF16(product Product, dq, dk, dv, do, o, lse, q, k, v []float32, positions []int32, s AttentionShape) {
	var dks, dvs []float32 // of the key head at hand
	eachHead(s, positions, product, o, do, q, k, v, func(h head) {
		T, d, group := s.T, s.HeadDim, s.Heads/s.KVHeads
		p := product(T, T, d, h.q, transposed(h.k), nil)
		ds := product(T, T, d, h.do, transposed(h.v), nil)
		for i := range T {
			at := ((h.row+i)*s.Heads + h.h) * d
			rounded := make([]float32, d)
			for e := range rounded {
				rounded[e] = RoundBF16(o[at+e])
			}
			delta := Dot(do[at:at+d], rounded)
			for j := range T {
				x := i*T + j
				if !h.seen(i, j) {
					p[x], ds[x] = 0, 0
					continue
				}
				score, slope := s.score(p[x])
				p[x] = Exp32(sub32(score, lse[(h.row+i)*s.Heads+h.h]))
				ds[x] = mul32(mul32(mul32(p[x], sub32(ds[x], delta)), slope), s.Scale)
			}
		}
		if h.h%group == 0 {
			dks, dvs = nil, nil
		}
		dvs = product(T, d, T, transposed(h.square(p)), h.do, dvs)
		dks = product(T, d, T, transposed(h.square(ds)), h.q, dks)
		h.put(dv, dvs, s.KVHeads, h.h/group)
		h.put(dk, dks, s.KVHeads, h.h/group)
		h.put(dq, product(T, d, T, h.square(ds), h.k, nil), s.Heads, h.h)
	})
}
