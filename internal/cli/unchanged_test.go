package cli_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the lab's own driver

	"rekey/internal/cli"
	"rekey/internal/lab/labtest"
)

// dump is every row of every table, as text, by table.
type dump map[string][]string

// dumped reads the lab's database while it serves. Columns that without names are
// left out: "table.column".
func dumped(t *testing.T, dir string, without ...string) dump {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "lab.sqlite")+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	d := dump{}
	for _, table := range names(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		d[table] = rowsOf(t, db, table, without)
	}
	if len(d) < 15 {
		t.Fatalf("only %d tables were found", len(d))
	}
	return d
}

func names(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func rowsOf(t *testing.T, db *sql.DB, table string, without []string) []string {
	t.Helper()
	rows, err := db.Query("SELECT * FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for i, c := range columns {
			if !slices.Contains(without, table+"."+c) {
				fmt.Fprintf(&text, "%s=%v ", c, values[i])
			}
		}
		list = append(list, text.String())
	}
	slices.Sort(list)
	return list
}

// contactTimes is what GitLab before 18.7 writes of a manager that it knows when a
// token is verified (POST /runners/verify).
var contactTimes = []string{"managers.contacted_at", "runners.contacted_at"}

// TestDiagnosisLeavesTheDatabaseAsItIs compares the lab's whole database before and
// after every command that only looks. The lab writes no last use of a user's token,
// as GitLab does now and then; nothing is excluded for it.
func TestDiagnosisLeavesTheDatabaseAsItIs(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"15.11", "17.11", "18.11", "19.3"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			discovery := version >= "18.7"
			w := brokenFleet(t, version)
			for _, look := range w.looks() {
				without := []string{}
				if look.touches && !discovery {
					without = contactTimes
				}
				before := dumped(t, w.dir, without...)
				output := w.run(t, look.args...)
				if diff := cmp.Diff(before, dumped(t, w.dir, without...)); diff != "" {
					t.Errorf("rekey %s changed the database (-before +after):\n%s", strings.Join(look.args, " "), diff)
				}
				if look.says != "" && !strings.Contains(output, look.says) {
					t.Errorf("rekey %s does not say %q, so it may not have looked: %.300s", strings.Join(look.args, " "), look.says, output)
				}
			}
			before := dumped(t, w.dir, contactTimes...)
			w.lab.MustAs("", http.StatusOK, "POST", "runners/verify", labtest.M{"token": w.good, "system_id": "s_ffffffffffff"}, nil)
			if cmp.Diff(before, dumped(t, w.dir, contactTimes...)) == "" {
				t.Error("a manager more is not seen in the dump: this test could not fail")
			}
		})
	}
}

// TestAFirstVerifyLeavesThisHostsManagerOnly is what GitLab before 18.7 keeps of
// doctor on a host that was never in contact: the manager that gitlab-runner would
// make itself. --no-touch leaves nothing.
func TestAFirstVerifyLeavesThisHostsManagerOnly(t *testing.T) {
	t.Parallel()
	w := brokenFleet(t, "17.11")
	if err := os.WriteFile(filepath.Join(filepath.Dir(w.config), ".runner_system_id"), []byte("s_newhere00000"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := dumped(t, w.dir, contactTimes...)
	w.run(t, "doctor", "--rps", "0", "--config", w.config, "--no-touch")
	if diff := cmp.Diff(before, dumped(t, w.dir, contactTimes...)); diff != "" {
		t.Errorf("--no-touch changed the database (-before +after):\n%s", diff)
	}
	w.run(t, "doctor", "--rps", "0", "--config", w.config)
	after := dumped(t, w.dir, contactTimes...)
	made := 0
	for _, row := range after["managers"] {
		if slices.Contains(before["managers"], row) {
			continue
		}
		if made++; !strings.Contains(row, "system_id=s_newhere00000 ") {
			t.Errorf("a manager of another system id was made: %s", row)
		}
	}
	if made == 0 {
		t.Error("no manager was made: this test could not fail")
	}
	before["managers"], after["managers"] = nil, nil
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("more than managers changed (-before +after):\n%s", diff)
	}
}

// broken is a lab and a config that names its runners, most of them broken.
type broken struct {
	lab               *labtest.Lab
	dir, config, log  string
	job, good, system string
}

// brokenFleet has a section for every way of being broken that leaves its mark in the
// database, each used by this host before it broke.
func brokenFleet(t *testing.T, version string) *broken {
	t.Helper()
	dir := t.TempDir()
	l := labtest.Start(t, labtest.Options{Version: version, Profile: "self-managed", Dir: dir})
	f := &broken{lab: l, dir: dir, system: systemID}
	project, path := l.Project("web", l.Group("acme", 0))
	l.Must(http.StatusCreated, "POST", fmt.Sprintf("projects/%d/repository/files/.gitlab-ci.yml", project),
		labtest.M{"branch": "main", "content": "build: {script: [echo hi], tags: [windows]}", "commit_message": "ci"}, nil)
	f.job = fmt.Sprintf("%s/%s/-/jobs/1", l.URL, path)

	var text strings.Builder
	section := func(name, token string, id int64, more string) {
		fmt.Fprintf(&text, "[[runners]]\n  name = %q\n  url = %q\n  id = %d\n  token = %q\n  executor = \"shell\"\n%s\n", name, l.URL, id, token, more)
	}
	used := func(scope string, owner int64, attributes labtest.M) labtest.Issued {
		r := l.Runner(scope, owner, attributes)
		l.MustAs("", http.StatusNoContent, "POST", "jobs/request", labtest.M{"token": r.Token, "system_id": f.system, "info": labtest.M{"version": "15.11.0"}}, nil)
		return r
	}
	good := used("instance", 0, nil)
	f.good = good.Token
	section("good", good.Token, good.ID, "")
	section("twice", good.Token, good.ID, "")
	shared := used("project", project, labtest.M{"tag_list": []string{"linux"}})
	l.MustAs("", http.StatusNoContent, "POST", "jobs/request", labtest.M{"token": shared.Token, "system_id": "r_otherhost000"}, nil)
	section("shared", shared.Token, shared.ID, "  token_expires_at = 2020-01-01T00:00:00Z\n")
	paused := used("instance", 0, nil)
	l.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", paused.ID), labtest.M{"paused": true}, nil)
	section("paused", paused.Token, paused.ID, "")
	rotated := used("instance", 0, nil)
	l.Must(http.StatusCreated, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", rotated.ID), nil, nil)
	section("rotated", rotated.Token, rotated.ID, "  token_obtained_at = 2025-01-01T00:00:00Z\n")
	deleted := used("instance", 0, nil)
	l.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", deleted.ID), nil, nil)
	section("deleted", deleted.Token, deleted.ID, "")
	legacy := l.Register(nil)
	l.MustAs("", http.StatusNoContent, "POST", "jobs/request", labtest.M{"token": legacy.Token, "system_id": f.system}, nil)
	section("legacy", legacy.Token, legacy.ID, "")
	section("registration", l.Info.RegistrationTokens["instance"], 0, "")
	section("empty", "", 0, "")
	section("newline", good.Token+"\n", good.ID, "")
	section("unset", "${NOWHERE_SET}", good.ID, "")
	section("stranger", "glrt-CANARYCANARYCANARY00", 4711, "")

	home := t.TempDir()
	f.config, f.log = filepath.Join(home, "config.toml"), filepath.Join(home, "runner.log")
	for path, data := range map[string]string{f.config: text.String(), filepath.Join(home, ".runner_system_id"): f.system,
		f.log: "FATAL: Runner configuration other than name and executor configuration is reserved (specifically --locked) and cannot be specified\n"} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// look is one command that only looks.
type look struct {
	touches bool // it asks about runner tokens
	args    []string
	says    string
}

func (f *broken) looks() []look {
	doctor := func(touches bool, says string, more ...string) look {
		return look{touches, append([]string{"doctor", "--rps", "0", "--config", f.config}, more...), says}
	}
	runner := func(more ...string) look { return look{false, append([]string{"runner"}, more...), ""} }
	return []look{
		doctor(true, "valid", "--gitlab-token-file", "none"),
		doctor(true, "record-deleted"),
		doctor(true, "online-but-idle", "-o", "json", "--expect-project", "acme/other", "--expect-scope", "project"),
		doctor(false, "not asked", "--no-touch"),
		doctor(false, "not asked", "--no-touch", "--gitlab-token-file", "none"),
		doctor(true, "Before an upgrade", "--for-gitlab", "20.0"),
		doctor(false, "Before an upgrade", "--for-gitlab", "20.0", "--no-touch"),
		doctor(true, "runner.log", "--log", f.log),
		{false, []string{"doctor", "--rps", "0", "--job", f.job}, "job 1 (build)"},
		runner("list", "--rps", "0"), runner("list", "--rps", "0", "-o", "json"), runner("show", "1", "--rps", "0"), runner("stale", "--rps", "0"),
		runner("compat", "--rps", "0", "--for-gitlab", "20.0"), runner("expiry", "--rps", "0"), runner("prune", "--rps", "0", "--older-than", "30d"),
	}
}

// run runs the command in this process with the administrator's token, or with none
// where the command names the file "none".
func (f *broken) run(t *testing.T, args ...string) string {
	t.Helper()
	env := map[string]string{"HOME": filepath.Dir(f.config), "REKEY_STATE_DIR": t.TempDir(), "GITLAB_HOST": f.lab.URL, "GITLAB_TOKEN": f.lab.Admin}
	if i := slices.Index(args, "none"); i > 0 {
		delete(env, "GITLAB_TOKEN")
		args = slices.Delete(slices.Clone(args), i-1, i+1)
	}
	var out, errs bytes.Buffer
	code := cli.Main(args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if code != 0 && code != 3 {
		t.Errorf("rekey %s ended with %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String() + errs.String()
}
