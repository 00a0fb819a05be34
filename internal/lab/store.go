package lab

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", in Go alone

	"rekey"
)

//go:embed schema.sql
var schema string

//go:embed schema2.sql
var schema2 string

// migrations bring a database from user_version i to i+1; released entries are
// never edited.
var migrations = []string{schema, schema2}

// store is one SQLite file: one connection writes, a pool reads. WAL with
// synchronous=NORMAL keeps every committed write over a kill of the process.
type store struct{ writer, reader *sql.DB }

func openStore(ctx context.Context, dir string) (*store, error) {
	// foreign_keys and busy_timeout belong to a connection, hence in the address.
	const common = "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(normal)"
	path := filepath.Join(dir, "lab.sqlite")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // SQLite would make it readable by all
	if err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "open the lab's database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "open the lab's database: %w", err)
	}
	file := "file:" + path
	writer, err := sql.Open("sqlite", file+common+"&_pragma=journal_mode(wal)&_txlock=immediate")
	if err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "open the lab's database: %w", err)
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite", file+common+"&_pragma=query_only(1)")
	if err != nil {
		_ = writer.Close()
		return nil, rekey.Errorf(rekey.KindUnavailable, "open the lab's database: %w", err)
	}
	reader.SetMaxOpenConns(4)
	reader.SetMaxIdleConns(4)
	st := &store{writer, reader}
	if err := st.migrate(ctx); err != nil {
		_ = st.close()
		return nil, err
	}
	return st, nil
}

func (st *store) migrate(ctx context.Context) error {
	var at int
	if err := st.writer.QueryRowContext(ctx, "PRAGMA user_version").Scan(&at); err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "read the lab's database: %w", err)
	}
	if at > len(migrations) {
		return rekey.Errorf(rekey.KindConflict, "the lab's database has schema %d, this build knows %d", at, len(migrations)).
			WithHint("use the newer rekey that wrote it, or another --data directory")
	}
	for ; at < len(migrations); at++ {
		step := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA user_version = %d; COMMIT", migrations[at], at+1)
		if _, err := st.writer.ExecContext(ctx, step); err != nil {
			return rekey.Errorf(rekey.KindInternal, "migrate the lab's database to schema %d: %w", at+1, err)
		}
	}
	return nil
}

func (st *store) close() error {
	_ = st.reader.Close()
	return st.writer.Close()
}

// tx is one transaction with the time frozen at its begin. after runs once the
// commit succeeded: caches are told only what is on disk.
type tx struct {
	*Server
	sql   *sql.Tx
	ctx   context.Context
	now   time.Time
	after []func()
}

// write runs fn in the one writing transaction; an error rolls back.
func (s *Server) write(ctx context.Context, fn func(*tx) error) error {
	return s.inTx(ctx, s.store.writer, fn)
}

// read runs fn in a read-only transaction.
func (s *Server) read(ctx context.Context, fn func(*tx) error) error {
	return s.inTx(ctx, s.store.reader, fn)
}

// inTx lets a transaction end although the client that wanted it is gone. A
// ROLLBACK that the end of a context interrupts leaves the connection in the pool,
// inside a transaction that reads an old state for ever.
func (s *Server) inTx(ctx context.Context, db *sql.DB, fn func(*tx) error) error {
	ctx = context.WithoutCancel(ctx)
	sqlTx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }()
	t := &tx{Server: s, sql: sqlTx, ctx: ctx, now: s.now()}
	if err := fn(t); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, f := range t.after {
		f()
	}
	return nil
}

// onCommit queues f for after the commit.
func (t *tx) onCommit(f func()) { t.after = append(t.after, f) }

func (t *tx) exec(query string, args ...any) error {
	_, err := t.sql.ExecContext(t.ctx, query, args...)
	return err
}

// insert runs an INSERT and returns the new id.
func (t *tx) insert(query string, args ...any) (int64, error) {
	result, err := t.sql.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// value reads one column of one row into dest; sql.ErrNoRows when there is none.
func (t *tx) value(dest any, query string, args ...any) error {
	return t.sql.QueryRowContext(t.ctx, query, args...).Scan(dest)
}

// exists reports whether the query has a row.
func (t *tx) exists(query string, args ...any) (bool, error) {
	var found bool
	err := t.value(&found, "SELECT EXISTS ("+query+")", args...)
	return found, err
}

// scanner is a row to read columns from.
type scanner interface{ Scan(dest ...any) error }

// rows reads every row of query.
func rows[T any](t *tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	found, err := t.sql.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	var all []T
	for found.Next() {
		one, err := scan(found)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, found.Err()
}

// row reads the one row of query; sql.ErrNoRows when there is none.
func row[T any](t *tx, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	return scan(t.sql.QueryRowContext(t.ctx, query, args...))
}
