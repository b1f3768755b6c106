package train

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// counters is PROCESS_MEMORY_COUNTERS of the Windows API.
type counters struct {
	size, faults                uint32
	peak, now                   uintptr
	pools                       [4]uintptr
	pagefile, peakPagefileUsage uintptr
}

// peakRSS returns the largest resident memory of the process so far in MiB.
func peakRSS() (float64, error) {
	var c counters
	c.size = uint32(unsafe.Sizeof(c))
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo")
	if ok, _, err := proc.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&c)), uintptr(c.size)); ok == 0 {
		return 0, fmt.Errorf("asking for the resident memory: %w", err)
	}
	return float64(c.peak) / (1 << 20), nil
}
