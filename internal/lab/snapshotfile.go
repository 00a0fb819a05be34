package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

func databasePath(dir string) string { return filepath.Join(dir, "lab.sqlite") }

// copyTo writes what is committed now to a new file, on a connection of its own:
// VACUUM INTO reads one state of the database, and writers go on beside it.
func (st *store) copyTo(ctx context.Context, path string) (int64, error) {
	var file string
	if err := st.reader.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file); err != nil {
		return 0, err
	}
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil { // an empty file is accepted, and keeps its mode
		return 0, err
	} else if err := f.Close(); err != nil {
		return 0, err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return 0, err
	}
	return flushed(path)
}

// flushed syncs a file and returns its size.
func flushed(path string) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// stage copies a snapshot to a directory in which it can replace the lab's files
// by renaming, migrates it to this build's schema and checks that it is sound, so
// that a bad snapshot is refused before anything is lost.
func stage(ctx context.Context, from, to string) error {
	if err := copyFile(databasePath(from), databasePath(to)); err != nil {
		return err
	}
	if err := copyFile(secretsPath(from), secretsPath(to)); err != nil {
		return err
	}
	st, err := openStore(ctx, to)
	if err != nil {
		return err
	}
	var verdict string
	err = st.reader.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict)
	if err = errors.Join(err, st.close()); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("its database is damaged: %s", verdict)
	}
	return nil
}

// replaceDatabase puts the staged file in the place of the closed lab's. The old
// write-ahead log goes first: it would be played into the new file.
func replaceDatabase(dir, staged string) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(databasePath(dir) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := os.Lstat(databasePath(staged) + suffix); err == nil {
			return errors.New("the staged database was not closed")
		}
	}
	return os.Rename(databasePath(staged), databasePath(dir))
}

// tidy removes what a killed snapshot or restore left, for these are copies of the
// database and its secrets.
func (r *Rehearsal) tidy() {
	for _, pattern := range []string{filepath.Join(r.options.Dir, ".restoring-*"), filepath.Join(r.options.Dir, ".lab-*"), r.snapshotDir(".taking-*")} {
		left, _ := filepath.Glob(pattern) // the pattern is ours
		for _, path := range left {
			if err := os.RemoveAll(path); err != nil {
				r.options.Log.Warn("a temporary file cannot be removed", "path", path, "error", err)
			}
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
