//go:build amd64 && !linux && !purego

package kernel

// tilesAllowed would ask the system for the state of the tiles; how is known for Linux
// alone.
func tilesAllowed() bool { return false }
