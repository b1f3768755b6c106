package train

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// residentNow returns the resident memory of the process in bytes.
func residentNow() int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if f := bytes.Fields(raw); err == nil && len(f) > 1 {
		if pages, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
			return pages * int64(os.Getpagesize())
		}
	}
	return goMemory()
}

// availableMemory returns the bytes that can be had without swapping, within the
// limit of the control group; 0 if that is not known.
func availableMemory() int64 {
	available := int64(0)
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			if kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
				available = kib << 10
			}
		}
	}
	number := func(name string) (int64, bool) {
		raw, err := os.ReadFile("/sys/fs/cgroup/" + name)
		n, err2 := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
		return n, err == nil && err2 == nil
	}
	if most, ok := number("memory.max"); ok {
		if used, ok := number("memory.current"); ok {
			available = min(available, max(0, most-used))
		}
	}
	return available
}
