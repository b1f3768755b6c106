package pages_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"gotune/internal/pages"
)

// TestMake: a large slice is of zeros and lies in memory that may be of large pages, in
// which the system says so of ("hg" of VmFlags).
func TestMake(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Log("this system has no transparent large pages")
		return
	}
	x := pages.Make[float32](3 << 20)
	for i, v := range x {
		if v != 0 {
			t.Fatalf("element %d is %g", i, v)
		}
	}
	for _, i := range []int{0, len(x) / 2, len(x) - 1} {
		if flags := flagsAt(t, uintptr(unsafe.Pointer(&x[i]))); !strings.Contains(flags+" ", " hg ") {
			t.Errorf("element %d lies in memory with the flags %q, want hg", i, flags)
		}
	}
}

// flagsAt returns the flags of the mapping that an address lies in.
func flagsAt(t *testing.T, at uintptr) string {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for s := bufio.NewScanner(f); s.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(s.Text(), "%x-%x", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, ok := strings.CutPrefix(s.Text(), "VmFlags:"); ok && inside {
			return strings.TrimRight(flags, " ")
		}
	}
	t.Fatalf("no mapping holds %#x", at)
	return ""
}
