package kernel_test

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// On Linux the factors that tests hand to kernels end where memory that may not be
// touched begins, so that an assembly loop that reads too far is found.
func init() { fenced = fence }

func fence(t testing.TB, n int) []float32 {
	page := unix.Getpagesize()
	size := (4*n + page - 1) / page * page
	memory, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mprotect(memory[size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&memory[size-4*n])), n)
}
