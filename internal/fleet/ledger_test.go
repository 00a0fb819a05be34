package fleet_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/fleet"
)

const ledgerText = `# Owners of the build fleet.
schema: rekey.owners/1 # do not change
gitlab: https://gitlab.example.com
x-reviewed-by: alice
runners:
  # the old pair
  12:
    owner: 'team a' # until spring
    rotated_at: 2026-03-01
    x-cost-centre: [4711, b]
    note: |
      two
      lines
  3: {owner: b, keep: true}
# the end
`

func parsed(t *testing.T, text string) *fleet.Ledger {
	t.Helper()
	l, err := fleet.ParseLedger([]byte(text))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return l
}

func bytesOf(t *testing.T, l *fleet.Ledger) string {
	t.Helper()
	data, err := l.Bytes()
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	return string(data)
}

func TestLedgerKeepsWhatPeopleWrote(t *testing.T) {
	t.Parallel()
	l := parsed(t, ledgerText)
	e, _ := l.Entry(12)
	e.RotatedAt, e.Due = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	if err := l.Set(e); err != nil {
		t.Fatal(err)
	}
	if err := l.Set(fleet.Entry{ID: 7, Owner: "yes", Note: "a: b # c"}); err != nil {
		t.Fatal(err)
	}
	want := `# Owners of the build fleet.
schema: rekey.owners/1 # do not change
gitlab: https://gitlab.example.com
x-reviewed-by: alice
runners:
  3: {owner: b, keep: true}
  7:
    owner: yes
    note: 'a: b # c'
  # the old pair
  12:
    owner: 'team a' # until spring
    rotated_at: 2026-05-01
    x-cost-centre: [4711, b]
    note: |
      two
      lines
    due: 2026-08-01
# the end
`
	if got := bytesOf(t, l); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again := parsed(t, bytesOf(t, l))
	if e, ok := again.Entry(7); !ok || e.Owner != "yes" || e.Note != "a: b # c" {
		t.Errorf("read back %+v", e)
	}
}

func TestLedgerForgets(t *testing.T) {
	t.Parallel()
	l := parsed(t, ledgerText)
	if !l.Forget(12) || l.Forget(12) || l.Forget(99) {
		t.Error("Forget does not tell whether there was an entry")
	}
	if text := bytesOf(t, l); strings.Contains(text, "team a") || !strings.Contains(text, "3: {owner: b") {
		t.Errorf("got\n%s", text)
	}
	l.Forget(3)
	if len(parsed(t, bytesOf(t, l)).Entries()) != 0 {
		t.Error("an emptied ledger has entries")
	}
	if err := l.Set(fleet.Entry{ID: 1, Owner: "x"}); err != nil {
		t.Fatal(err)
	}
	if text := bytesOf(t, l); !strings.Contains(text, "runners:\n  1:\n    owner: x\n") {
		t.Errorf("after the first new entry:\n%s", text)
	}
}

func TestLedgerRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	head := "schema: rekey.owners/1\n"
	for text, want := range map[string]string{
		"":                            "no YAML",
		"\x00\xff":                    "no YAML",
		"- a\n":                       "no mapping",
		"runners: {}\n":               "schema",
		"schema: rekey.owners/2\n":    "schema",
		head + "runners: [1]\n":       "no mapping from ids",
		head + "runners:\n  a: {}\n":  `line 3: "a" is not a runner id`,
		head + "runners:\n  -1: {}\n": "not a runner id",
		head + "runners:\n  1: {}\n  2: {}\n  1: {}\n":   "line 5: runner 1 is named twice: the first time on line 3",
		head + "runners:\n  1: {}\n  01: {}\n":           "named twice",
		head + "runners:\n  1: {owner: a, owner: b}\n":   "given twice",
		head + "runners:\n  1: {ower: a}\n":              `"ower" of runner 1 is not known`,
		head + "runners:\n  1: {due: soon}\n":            "due of runner 1",
		head + "runners:\n  1: {keep: maybe}\n":          "neither true nor false",
		head + "runners:\n  1: {owner: [a]}\n":           "not a single value",
		head + "runners:\n  1: text\n":                   "no mapping of fields",
		head + "runnners: {}\n":                          `"runnners" is not known`,
		head + "runners:\n  1: &a {owner: x}\n  2: *a\n": "",
		head + "x-a: &a {b: c}\nrunners: *a\n":           "aliases",
		head + "---\n" + head:                            "no YAML",
		head + "runners:\n  1: {owner: a\n":              "no YAML",
		head + "runners:\n  1:\n    <<: {owner: a}\n":    "plain word",
	} {
		_, err := fleet.ParseLedger([]byte(text))
		if err == nil || rekey.KindOf(err) != rekey.KindInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}

func TestLedgerTakesNoToken(t *testing.T) {
	t.Parallel()
	l := fleet.NewLedger("https://gitlab.example.com")
	for _, e := range []fleet.Entry{{ID: 1, Note: "its token is glrt-CANARYCANARYCANARY12"}, {ID: 1, Owner: "a\x1b[2Jb"}, {ID: 1, Owner: "a\nb"}} {
		if err := l.Set(e); rekey.KindOf(err) != rekey.KindInvalid || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%+v: got %v, want a refusal that does not repeat it", e, err)
		}
	}
	if len(l.Entries()) != 0 {
		t.Error("a refused entry was taken")
	}
	if err := l.Set(fleet.Entry{ID: 1, Owner: "platform-engineering"}); err != nil {
		t.Errorf("a name of twenty letters: %v", err)
	}
}

func TestCSVIsNoFormula(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	row := fleet.RowOf(fleet.Entry{ID: 5, Owner: "=cmd()", Note: `a,"b"`, Due: now.Add(-day).Truncate(day)}, nil, fleet.KnownGone, now)
	if err := fleet.WriteCSV(&out, []fleet.Row{row}); err != nil {
		t.Fatal(err)
	}
	if want := `5,gone,,,,'=cmd(),,,,2026-05-31,true,,false,"a,""b"""`; !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want a line %q", out.String(), want)
	}
}
