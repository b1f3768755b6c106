//go:build unix && !linux

package train

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// peakRSS returns the largest resident memory of the process so far in MiB.
func peakRSS() (float64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("asking for the resident memory: %w", err)
	}
	if runtime.GOOS == "darwin" {
		return float64(u.Maxrss) / (1 << 20), nil
	}
	return float64(u.Maxrss) / (1 << 10), nil
}
