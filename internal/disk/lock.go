package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrLocked says that another process, or another part of this one, has the lock.
var ErrLocked = errors.New("another process has the lock")

// Lock takes an exclusive lock on a file, which is made if it is not there. The lock
// ends when the file is closed or with the process, however it ends. It does not
// wait: a lock that is taken is an ErrLocked.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err == nil {
		if err = lock(f); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return f, nil
}

// WaitLock is Lock that waits until the lock is free or the context ends, whose error
// it then returns beside ErrLocked.
func WaitLock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := Lock(path)
		if !errors.Is(err, ErrLocked) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
