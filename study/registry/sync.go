package registry

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
)

// batch is the number of folders that one transaction writes.
const batch = 64

// Sync brings the index up to date with the folders. It reads those that are new or
// have changed by size and time, and runs that have not come to an end. Runs and studies
// whose folder is gone are forgotten.
func (r *Registry) Sync(ctx context.Context) error {
	var all []found
	if err := walk(ctx, r.dir, ".", 0, func(f found) error {
		all = append(all, f)
		return nil
	}); err != nil {
		return err
	}
	known, err := r.known(ctx)
	if err != nil {
		return err
	}
	var changed []found
	for _, f := range all {
		was, ok := known[f.folder]
		if !ok || !was.final || was.kind != f.kind || was.stamp != f.stamp {
			changed = append(changed, f)
		}
		if ok && was.kind == f.kind {
			delete(known, f.folder)
		}
	}
	if err := r.forget(ctx, known); err != nil {
		return err
	}
	for part := range slices.Chunk(changed, batch) {
		if err := r.update(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// Rebuild reads every folder again. The index is never empty on the way.
func (r *Registry) Rebuild(ctx context.Context) error {
	err := r.inTx(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{"runs", "studies"} {
			if _, err := tx.ExecContext(ctx, "UPDATE "+table+" SET stamp = ''"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.Sync(ctx)
}

// An entry is what the index knows of a folder.
type entry struct {
	kind  kind
	stamp string
	final bool // it does not change unless its files do
}

func (r *Registry) known(ctx context.Context) (map[string]entry, error) {
	known := make(map[string]entry)
	return known, r.inSnapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, func(rows *sql.Rows) error {
			var folder string
			var e entry
			err := rows.Scan(&e.kind, &folder, &e.stamp, &e.final)
			known[folder] = e
			return err
		}, `SELECT ?, folder, stamp, status IN (?, ?) FROM runs UNION ALL SELECT ?, folder, stamp, error = '' FROM studies`, aRun, statusFinished, statusFailed, aStudy)
	})
}

// forget drops folders that are gone. Each is looked for again while no other process
// writes, as one may have made it since.
func (r *Registry) forget(ctx context.Context, gone map[string]entry) error {
	if len(gone) == 0 {
		return nil
	}
	return r.inTx(ctx, func(tx *sql.Tx) error {
		for folder, e := range gone {
			if isThere(r.dir, folder, e.kind) {
				continue
			}
			if err := drop(ctx, tx, e.kind, folder); err != nil {
				return err
			}
		}
		return nil
	})
}

// update reads folders and writes them into the index. A folder that changes while
// it is read is read again, so that the index holds no older state than another
// process has written.
func (r *Registry) update(ctx context.Context, all []found) error {
	for tries := 0; len(all) > 0; tries++ {
		writes := make([]func(context.Context, *sql.Tx) error, len(all))
		for i, f := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			writes[i] = r.read(f)
		}
		var again []found
		err := r.inTx(ctx, func(tx *sql.Tx) error {
			again = nil
			for i, f := range all {
				if now := stamp(r.dir, f.folder, f.kind); now != f.stamp && tries < 3 {
					again = append(again, found{f.kind, f.folder, now})
				} else if err := writes[i](ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		// What was removed on the way is nothing to index.
		all = slices.DeleteFunc(again, func(f found) bool { return !isThere(r.dir, f.folder, f.kind) })
	}
	return nil
}

// read reads a folder and returns what writes it.
func (r *Registry) read(f found) func(context.Context, *sql.Tx) error {
	path := filepath.Join(r.dir, f.folder)
	if f.kind == aStudy {
		s, err := readStudy(path)
		return func(ctx context.Context, tx *sql.Tx) error { return putStudy(ctx, tx, f, s, err) }
	}
	run := readRun(path)
	return func(ctx context.Context, tx *sql.Tx) error { return putRun(ctx, tx, f, run) }
}
