// Package registry keeps an index of the runs and studies below a folder, so that they
// can be listed, filtered and compared without reading every folder again.
//
// The index is registry.db, a database of SQLite. All it holds stands in the folders
// too: it can be deleted, and what is missing or damaged is made anew. Several
// processes may use one index at once.
//
//	r, err := registry.Open(ctx, "runs")
//	…
//	defer r.Close()
//	err = r.Sync(ctx) // after runs have changed
//	runs, err := r.Runs(ctx, registry.Filter{Status: "finished"})
package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"modernc.org/sqlite" // registers the driver too
	sqlite3 "modernc.org/sqlite/lib"

	"gotune/internal/disk"
)

// The names of the index and of the lock that is held while it is opened.
const (
	indexName = "registry.db"
	lockName  = "registry.lock"
)

// busy is how long a process waits for the writing of others. A transaction takes
// milliseconds.
const busy = 30 * time.Second

// A Registry is an open index. Its methods may be called by several goroutines.
type Registry struct {
	dir string
	db  *sql.DB
}

// Open opens the index of a folder, and makes it where it is missing. A damaged one,
// and one that an older program made, is set aside as registry.db.damaged-N, which is
// logged; the new one is empty until [Registry.Sync]. A folder that cannot be
// written to, or a full disk, has an index in memory. An index of a newer program is an error.
func Open(ctx context.Context, dir string) (*Registry, error) {
	lock, err := disk.WaitLock(ctx, filepath.Join(dir, lockName))
	if cannotWrite(err) {
		return InMemory(ctx, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("index of %s: %w", dir, err)
	}
	// The lock keeps a second process from setting aside what this one makes.
	defer lock.Close()
	path := filepath.Join(dir, indexName)
	db, err := connect(ctx, path)
	if isDamage(err) {
		aside, moved := setAside(path)
		if moved != nil {
			return nil, fmt.Errorf("index %s: %w; setting it aside: %w", path, err, moved)
		}
		slog.WarnContext(ctx, "the index of runs cannot be used and is made anew from the folders", "reason", err, "kept", aside)
		db, err = connect(ctx, path)
	}
	if cannotWrite(err) {
		return InMemory(ctx, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", path, err)
	}
	return &Registry{dir: dir, db: db}, nil
}

// InMemory opens an index of a folder that leaves no file.
func InMemory(ctx context.Context, dir string) (*Registry, error) {
	db, err := connect(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("index of %s in memory: %w", dir, err)
	}
	return &Registry{dir: dir, db: db}, nil
}

// Close closes the index.
func (r *Registry) Close() error { return r.db.Close() }

// Sync brings the index of a folder up to date: it opens the index, does
// [Registry.Sync] and closes it.
func Sync(ctx context.Context, dir string) error {
	r, err := Open(ctx, dir)
	if err != nil {
		return err
	}
	return errors.Join(r.Sync(ctx), r.Close())
}

// connect opens a database, checks it and makes its tables if it has none. Without a
// path it is in memory.
func connect(ctx context.Context, path string) (*sql.DB, error) {
	q := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()), "synchronous(NORMAL)", "foreign_keys(1)",
	}, "_txlock": {"immediate"}} // a transaction that writes does not begin as a reader
	name := "file::memory:"
	if path != "" {
		name = "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
	}
	db, err := sql.Open("sqlite", name+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // an index in memory is one connection's
	db.SetConnMaxIdleTime(0)
	if err := prepare(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// inTx does something in one transaction that writes.
func (r *Registry) inTx(ctx context.Context, do func(*sql.Tx) error) error {
	return r.transaction(ctx, &sql.TxOptions{}, do)
}

// inSnapshot reads in one transaction, so that what is read fits together.
func (r *Registry) inSnapshot(ctx context.Context, do func(*sql.Tx) error) error {
	return r.transaction(ctx, &sql.TxOptions{ReadOnly: true}, do)
}

func (r *Registry) transaction(ctx context.Context, o *sql.TxOptions, do func(*sql.Tx) error) error {
	tx, err := r.db.BeginTx(ctx, o)
	if err == nil {
		if err = do(tx); err == nil {
			err = tx.Commit()
		} else {
			err = errors.Join(err, tx.Rollback())
		}
	}
	if err != nil {
		return fmt.Errorf("index %s: %w", filepath.Join(r.dir, indexName), err)
	}
	return nil
}

// cannotWrite reports an error that says that no index can be made in a folder, though
// its runs may be read.
func cannotWrite(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		code := e.Code() & 0xff
		return code == sqlite3.SQLITE_READONLY || code == sqlite3.SQLITE_FULL
	}
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC)
}

// isDamage reports an error that says that the file is no whole database, or not one
// of this program.
func isDamage(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		code := e.Code() & 0xff
		return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
	}
	return errors.Is(err, errDamaged)
}

// quoted is a text for a list in a message.
func quoted(all []string) string { return strings.Join(all, ", ") }
