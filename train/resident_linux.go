package train

import (
	"bytes"
	"fmt"
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

// peakRSS returns the largest resident memory of the process so far in MiB. getrusage
// would count that of the process which started this one too.
func peakRSS() (float64, error) {
	peak, err := bytesIn("/proc/self/status", "VmHWM:")
	return float64(peak) / (1 << 20), err
}

// bytesIn returns a number of kB, as the kernel calls a KiB, in a file of its own.
func bytesIn(name, key string) (int64, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		rest, ok := strings.CutPrefix(line, key)
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %s %w", name, key, err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("%s: no line %s", name, key)
}

// availableMemory returns the bytes that can be had without swapping, within the
// limit of the control group; 0 if that is not known.
func availableMemory() int64 {
	available, err := bytesIn("/proc/meminfo", "MemAvailable:")
	if err != nil {
		return 0
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
