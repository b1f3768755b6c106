package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// schemaVersion is the number of the tables below; a change of them needs the next one.
const schemaVersion = 1

// The tables. What belongs to a run or a study goes with it. Folders are relative to
// that of the index, with slashes.
var tables = []string{
	`CREATE TABLE studies (
		id INTEGER PRIMARY KEY, folder TEXT NOT NULL UNIQUE, name TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, claims TEXT NOT NULL,
		finished INTEGER NOT NULL, command TEXT NOT NULL, error TEXT NOT NULL, stamp TEXT NOT NULL)`,
	`CREATE TABLE arms (
		id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES studies ON DELETE CASCADE,
		name TEXT NOT NULL, origin TEXT NOT NULL, reuses INTEGER NOT NULL)`,
	`CREATE INDEX arms_of_study ON arms (study)`,
	`CREATE TABLE arm_runs (
		arm INTEGER NOT NULL REFERENCES arms ON DELETE CASCADE, folder TEXT NOT NULL, seed TEXT NOT NULL, status TEXT NOT NULL, error TEXT NOT NULL)`,
	`CREATE INDEX arm_runs_by_arm ON arm_runs (arm)`,
	`CREATE INDEX arm_runs_by_folder ON arm_runs (folder)`,
	`CREATE TABLE runs (
		id INTEGER PRIMARY KEY, folder TEXT NOT NULL UNIQUE, status TEXT NOT NULL, error TEXT NOT NULL, started INTEGER NOT NULL,
		model TEXT NOT NULL, method TEXT NOT NULL, data TEXT NOT NULL, seed TEXT NOT NULL, steps INTEGER NOT NULL, planned INTEGER NOT NULL, stamp TEXT NOT NULL)`,
	`CREATE TABLE settings (
		run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, stage INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, number REAL,
		PRIMARY KEY (run, key, stage)) WITHOUT ROWID`,
	// A metric is of a run itself, or one that a study gives to the run of a folder.
	`CREATE TABLE metrics (
		run INTEGER REFERENCES runs ON DELETE CASCADE, study INTEGER REFERENCES studies ON DELETE CASCADE,
		folder TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, censored INTEGER NOT NULL)`,
	`CREATE INDEX metrics_by_folder ON metrics (folder, name)`,
	`CREATE INDEX metrics_of_run ON metrics (run)`,
	`CREATE INDEX metrics_of_study ON metrics (study)`,
	`CREATE TABLE verdicts (
		study INTEGER NOT NULL REFERENCES studies ON DELETE CASCADE, place INTEGER NOT NULL, manipulation INTEGER NOT NULL,
		name TEXT NOT NULL, claim TEXT NOT NULL, metric TEXT NOT NULL, contrast TEXT NOT NULL, expect TEXT NOT NULL, margin REAL NOT NULL,
		effect REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL, p REAL NOT NULL, p_holm REAL NOT NULL, p_suite REAL NOT NULL,
		seeds INTEGER NOT NULL, needs INTEGER NOT NULL, outcome TEXT NOT NULL, reading TEXT NOT NULL, provisional INTEGER NOT NULL,
		PRIMARY KEY (study, manipulation, place)) WITHOUT ROWID`,
	`CREATE TABLE environment (
		run INTEGER REFERENCES runs ON DELETE CASCADE, study INTEGER REFERENCES studies ON DELETE CASCADE,
		version TEXT NOT NULL, revision TEXT NOT NULL, arithmetic TEXT NOT NULL, cpu_level TEXT NOT NULL, go TEXT NOT NULL,
		os TEXT NOT NULL, arch TEXT NOT NULL, threads INTEGER NOT NULL, jobs INTEGER NOT NULL)`,
	`CREATE INDEX environment_of_run ON environment (run)`,
	`CREATE INDEX environment_of_study ON environment (study)`,
}

// errDamaged is a file that is no whole index of this program.
var errDamaged = errors.New("damaged")

// prepare checks a database, and makes the tables of an empty one.
func prepare(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("it has the version %d, and this program knows %d: use a newer gotune, or move the file away, and it is made anew from the folders", version, schemaVersion)
	}
	found, err := texts(ctx, db, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
	if err != nil {
		return err
	}
	if version == 0 && len(found) == 0 {
		return create(ctx, db)
	}
	// Nothing is written before this point: what is set aside is as it was found.
	if version < schemaVersion || !slices.Equal(found, tables) {
		return fmt.Errorf("%w: its tables are not those of this program", errDamaged)
	}
	faults, err := texts(ctx, db, "PRAGMA quick_check(1)")
	if err == nil && !slices.Equal(faults, []string{"ok"}) {
		err = fmt.Errorf("%w: %s", errDamaged, quoted(faults))
	}
	return err
}

// create makes the tables. The write-ahead log, which readers and a writer share, is a
// property of the file.
func create(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, s := range tables {
		if err == nil {
			_, err = tx.ExecContext(ctx, s)
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// setAside renames a damaged index, with the files that SQLite keeps beside it, and
// returns its new name.
func setAside(path string) (string, error) {
	aside := ""
	for n := 1; ; n++ {
		aside = fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
	}
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// A querier is a database or a transaction on it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// texts returns the first column of all rows.
func texts(ctx context.Context, q querier, query string, args ...any) ([]string, error) {
	var all []string
	err := each(ctx, q, func(rows *sql.Rows) error {
		var one string
		err := rows.Scan(&one)
		all = append(all, one)
		return err
	}, query, args...)
	return all, err
}

// each calls scan for each row of an answer.
func each(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
