//go:build !linux

package train

// residentNow returns what the Go runtime has of the system, which is near the
// resident memory.
func residentNow() int64 { return goMemory() }

// availableMemory is not known here.
func availableMemory() int64 { return 0 }
