package disk

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// Free returns the bytes that this user can still write under the folder dir.
func Free(dir string) (uint64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, fmt.Errorf("asking for free space under %s: %w", dir, err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("asking for free space under %s: %w", dir, err)
	}
	return free, nil
}
