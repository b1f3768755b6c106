//go:build (!amd64 && !arm64) || purego

package kernel

// tables holds the levels of this build, at the place of their Level.
var tables = []*table{Generic: &generic}

func supported(l Level) bool { return l == Generic }

// pause would tell the CPU that a loop waits; plain Go has no such instruction.
func pause() {}

// setMode would set the mode of floating-point arithmetic.
func setMode(uint32) (old uint32) { return 0 }
