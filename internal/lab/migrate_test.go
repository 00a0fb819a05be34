package lab

import (
	"database/sql"
	"path/filepath"
	"testing"
)

// TestMigrateFromEverySchema: a database of any earlier schema is brought to the
// newest, with what it holds.
func TestMigrateFromEverySchema(t *testing.T) {
	t.Parallel()
	for at := 1; at < len(migrations); at++ {
		dir := t.TempDir()
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "lab.sqlite"))
		if err != nil {
			t.Fatal(err)
		}
		script := ""
		for _, step := range migrations[:at] {
			script += step + ";"
		}
		script += "INSERT INTO users (username, name, email, admin, state, created_at) VALUES ('kept', 'Kept', 'kept@example.com', 0, 'active', 0);"
		script += "PRAGMA user_version = " + formatInt(int64(at))
		if _, err := db.ExecContext(t.Context(), script); err != nil {
			t.Fatalf("schema %d: %v", at, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		st, err := openStore(t.Context(), dir)
		if err != nil {
			t.Fatalf("from schema %d: %v", at, err)
		}
		var version int
		var bot string
		if err := st.writer.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&version); err != nil || version != len(migrations) {
			t.Errorf("from schema %d: at %d %v, want %d", at, version, err, len(migrations))
		}
		if err := st.reader.QueryRowContext(t.Context(), "SELECT bot_kind FROM users WHERE username = 'kept'").Scan(&bot); err != nil {
			t.Errorf("from schema %d: the user of before: %v", at, err)
		}
		if err := st.close(); err != nil {
			t.Error(err)
		}
	}
}
