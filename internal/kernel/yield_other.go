//go:build !linux

package kernel

// yield does nothing where the system has no such call, or none within reach.
func yield() {}
