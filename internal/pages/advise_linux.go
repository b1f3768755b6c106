package pages

import "syscall"

// large is the size of a large page of amd64, and of arm64 with pages of 4 KiB.
const large = 2 << 20

// advise asks for large pages under a part of the heap. It reaches out to whole ones,
// because most matrices are smaller than that and lie side by side. Memory that was in use
// before keeps its small pages for a while. An error means that there are no large pages.
func advise(at, size uintptr) {
	from, to := at&^(large-1), (at+size+large-1)&^(large-1)
	syscall.RawSyscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_HUGEPAGE)
}
