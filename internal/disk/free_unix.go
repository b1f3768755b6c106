//go:build unix

package disk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free returns the bytes that this user can still write under the folder dir.
func Free(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("asking for free space under %s: %w", dir, err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
