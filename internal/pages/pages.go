// Package pages allocates what is read from end to end: weights, activations, moments.
// In pages of 4 KiB a machine walks its page tables for every 64 cache lines of them; the
// system is asked for large pages instead, where it knows them.
package pages

import "unsafe"

// worth is the size in bytes from which large pages are asked for.
const worth = 1 << 18

// Make returns make([]T, n). The pages that a large slice lies in, and what else lies in
// them, may be large ones.
func Make[T byte | uint16 | float32](n int) []T {
	x := make([]T, n)
	if size := uintptr(n) * unsafe.Sizeof(*new(T)); size >= worth {
		advise(uintptr(unsafe.Pointer(unsafe.SliceData(x))), size)
	}
	return x
}
