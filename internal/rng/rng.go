// Package rng gives named streams of random numbers whose bits never change
// with the version of Go. Every use of chance in the program draws from its own
// stream, so that adding one draw somewhere moves nothing elsewhere.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Stream is a xoshiro256** generator (Blackman and Vigna, 2018). Its state is
// four words, so a stream can be saved with a checkpoint and continued.
type Stream struct{ s [4]uint64 }

// New returns the stream named by a seed, a purpose and any further names: the
// state is SHA-256 of all of them, each with its length before it.
func New(seed uint64, purpose string, names ...string) *Stream {
	h := sha256.New()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	for _, s := range append([]string{purpose}, names...) {
		binary.LittleEndian.PutUint64(b[:], uint64(len(s)))
		h.Write(b[:])
		h.Write([]byte(s))
	}
	sum := h.Sum(nil)
	var r Stream
	for i := range r.s {
		r.s[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return &r
}

// Key returns the first 64 bits of the named stream, for counter-based uses
// such as a dropout mask.
func Key(seed uint64, purpose string, names ...string) uint64 {
	return New(seed, purpose, names...).Uint64()
}

// Uint64 returns the next 64 bits.
func (r *Stream) Uint64() uint64 {
	s := &r.s
	out := bits.RotateLeft64(s[1]*5, 7) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return out
}

// Float64 returns a number in [0, 1) with 53 random bits.
func (r *Stream) Float64() float64 { return float64(r.Uint64()>>11) * 0x1p-53 }

// IntN returns a number in [0, n), without bias (Lemire, 2019). It panics if
// n <= 0, which is a fault of the caller and never of the user's input.
func (r *Stream) IntN(n int) int {
	if n <= 0 {
		panic(fmt.Sprintf("rng: IntN(%d)", n))
	}
	m := uint64(n)
	hi, lo := bits.Mul64(r.Uint64(), m)
	for threshold := -m % m; lo < threshold; {
		hi, lo = bits.Mul64(r.Uint64(), m)
	}
	return int(hi)
}

// Normal returns a draw from the standard normal distribution by the polar
// method of Marsaglia; the second of each pair is not kept, so that the state
// stays four words.
func (r *Stream) Normal() float64 {
	for {
		u, v := 2*r.Float64()-1, 2*r.Float64()-1
		if q := u*u + v*v; q > 0 && q < 1 {
			return u * math.Sqrt(-2*math.Log(q)/q)
		}
	}
}

// Perm returns a permutation of 0…n-1 (Fisher and Yates).
func (r *Stream) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := r.IntN(i + 1)
		p[i] = p[j]
		p[j] = i
	}
	return p
}

// State returns the four words of the generator.
func (r *Stream) State() [4]uint64 { return r.s }

// FromState continues a stream saved by State.
func FromState(s [4]uint64) *Stream { return &Stream{s} }
