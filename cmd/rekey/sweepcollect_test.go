package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to dump the lab's database as anybody could
)

// tokenShapes is a net under the known secrets: job tokens, which nobody but the
// runner is told, have this shape too.
var tokenShapes = regexp.MustCompile(`gl(?:rt|rtr|pat|cbt|ptt)-[A-Za-z0-9_-]{20}|GR1348941[A-Za-z0-9_-]{20}|AGE-SECRET-KEY-1[A-Z0-9]{8}`)

// watch takes note, until the demonstration ends, of the tokens that the configs
// hold and of the command lines of every rekey that runs.
func (d *demoRun) watch(ctx context.Context) {
	ctx, d.watching = context.WithCancel(ctx)
	d.watched.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			d.look()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

func (d *demoRun) look() {
	configs, _ := filepath.Glob(filepath.Join(d.dir, "*", "*", "config.toml"))
	for _, path := range configs {
		d.sections(path)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		data, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(data, []byte(binary)) {
			continue
		}
		d.mu.Lock()
		d.args[strings.ReplaceAll(string(data), "\x00", " ")] = true
		d.mu.Unlock()
	}
}

// arguments returns the command lines that were seen.
func (d *demoRun) arguments() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []string
	for a := range d.args {
		list = append(list, a)
	}
	slices.Sort(list)
	return list
}

// dump adds every column of every table as it is in the database.
func dump(t *testing.T, path string, corpus map[string][]byte) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	must(t, err)
	defer func() { _ = db.Close() }()
	var tables []string
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table'")
	must(t, err)
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	must(t, rows.Err())
	if len(tables) < 10 {
		t.Errorf("the lab's database has the tables %v, want more", tables)
	}
	for _, name := range tables {
		corpus["table "+name] = dumpTable(t, db, name)
	}
}

func dumpTable(t *testing.T, db *sql.DB, name string) []byte {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+name) //nolint:gosec // a table of the database itself
	must(t, err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	must(t, err)
	var out bytes.Buffer
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(t, rows.Scan(into...))
		for i, v := range values {
			if raw, ok := v.([]byte); ok {
				v = string(raw)
			}
			fmt.Fprintf(&out, "%s=%v\n", columns[i], v)
		}
	}
	must(t, rows.Err())
	return out.Bytes()
}
