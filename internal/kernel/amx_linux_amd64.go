//go:build !purego

package kernel

import (
	"sync"
	"syscall"
)

// tilesAllowed asks Linux once for the state of the tiles, without which the first use
// of one ends the process: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA). The
// permission holds for all threads.
var tilesAllowed = sync.OnceValue(func() bool {
	const archPrctl, request, tileData = 158, 0x1023, 18
	_, _, errno := syscall.RawSyscall(archPrctl, request, tileData, 0)
	return errno == 0
})
