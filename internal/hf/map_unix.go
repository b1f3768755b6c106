//go:build linux || darwin

package hf

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file into memory. What is written to the memory stays there and
// never reaches the file.
func mapFile(f *os.File, size int64) ([]byte, error) {
	if size <= 0 || size != int64(int(size)) {
		return nil, errNoMap
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoMap, err)
	}
	return data, nil
}

func unmap(data []byte) error { return unix.Munmap(data) }
