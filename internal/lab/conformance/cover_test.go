package conformance_test

import (
	"slices"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/lab/conformance"
)

// TestARowSaysWhereItIsKnownFrom: a table with a row that does not cannot be built.
func TestARowSaysWhereItIsKnownFrom(t *testing.T) {
	t.Parallel()
	for line, fits := range map[string]bool{
		"2.1-a | all | source | a rule":                       true,
		"2.1-a | 17.0-18.11 | source, specification | a rule": true,
		"2.1-a | ~-16.11 | unverified | a rule":               true,
		"2.1-a | all | | a rule":                              false,
		"2.1-a | all | a rule":                                false,
		"2.1-a | all | hearsay | a rule":                      false,
		"2.1-a | all | source, unverified | a rule":           false,
		"2.1-a | 17.0 | source | a rule":                      false,
		"2.1-a | - | source | a rule":                         false,
		"2.1-a | all | source | ":                             false,
		"Nonsense | all | source | a rule":                    false,
	} {
		if _, err := conformance.ParseRows(line); (err == nil) != fits {
			t.Errorf("%q: got %v, want it to fit: %t", line, err, fits)
		}
	}
}

// TestVersionsOfARow: both ends of a range belong to it.
func TestVersionsOfARow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		versions, held, not string
	}{{"17.0-18.1", "17.0 17.11 18.1", "16.11 18.2 19.3"}, {"-16.11", "15.11 16.11", "17.0"}, {"18.7-", "18.7 19.3", "18.6"}, {"all", "15.11 19.3", ""}} {
		row := parsed(t, "1-a | "+c.versions+" | source | a rule")
		for _, v := range strings.Fields(c.held) {
			if !row.Holds(version(t, v)) {
				t.Errorf("%s does not hold in %s", c.versions, v)
			}
		}
		for _, v := range strings.Fields(c.not) {
			if row.Holds(version(t, v)) {
				t.Errorf("%s holds in %s", c.versions, v)
			}
		}
	}
}

// TestTheCheckerSeesWhatIsMissing plants one fault of each kind.
func TestTheCheckerSeesWhatIsMissing(t *testing.T) {
	t.Parallel()
	rows := map[string]conformance.Row{
		"all":   parsed(t, "1-all | all | source | r"),
		"new":   parsed(t, "1-new | 17.0- | source | r"),
		"old":   parsed(t, "1-old | -16.11 | source | r"),
		"older": parsed(t, "1-older | -15.11 | source | r"),
		"guess": parsed(t, "1-guess | all | unverified | r"),
		"gap":   parsed(t, "1-gap | 17.2-17.5 | source | r"),
	}
	claim := func(id string) conformance.Claim { return conformance.Claim{ID: "1-" + id} }
	for _, c := range []struct {
		name     string
		rows     string
		claims   []conformance.Claim
		pending  map[string]string
		unserved map[string]string
		want     string
	}{
		{"nothing wrong", "all guess", []conformance.Claim{claim("all")}, nil, nil, ""},
		{"no case", "all new", []conformance.Claim{claim("all")}, nil, nil, "1-new: no case"},
		{"no such row", "all", []conformance.Claim{claim("all"), claim("none")}, nil, nil, "1-none: a case for a row that does not exist"},
		{"two cases", "all", []conformance.Claim{claim("all"), claim("all")}, nil, nil, "1-all: two cases"},
		{"a guess asserted", "guess", []conformance.Claim{claim("guess")}, nil, nil, "1-guess: a case asserts what is unverified"},
		{"an edge not looked at", "new", []conformance.Claim{claim("new")}, nil, nil, "1-new: nothing says what happens outside its range"},
		{"an edge looked at", "new", []conformance.Claim{{ID: "1-new", Outside: true}}, nil, nil, ""},
		{"a row beside", "new old", []conformance.Claim{{ID: "1-new", Beside: "1-old"}, {ID: "1-old", Beside: "1-new"}}, nil, nil, ""},
		{"one that is too far", "new older", []conformance.Claim{{ID: "1-new", Beside: "1-older"}, {ID: "1-older", Outside: true}}, nil, nil, "1-new: 1-older beside it does not hold in 16.11.0"},
		{"one that is not there", "new", []conformance.Claim{{ID: "1-new", Beside: "1-none"}}, nil, nil, "1-new: 1-none beside it does not exist"},
		{"no edge to look at", "all", []conformance.Claim{{ID: "1-all", Outside: true}}, nil, nil, "1-all: nothing is outside its range"},
		{"never tested", "gap", []conformance.Claim{claim("gap")}, nil, nil, "1-gap: no tested version is in its range"},
		{"not served", "all", nil, nil, map[string]string{"1-all": "because"}, ""},
		{"not served without a reason", "all", []conformance.Claim{claim("all")}, nil, map[string]string{"1-all": ""}, "1-all: unserved without a row or a reason, or with a case"},
		{"pending without a case", "guess", nil, map[string]string{"1-guess": "soon"}, nil, "1-guess: pending without a row, a case or a reason"},
	} {
		l := conformance.Ledger{Claims: c.claims, Pending: c.pending, Unserved: c.unserved, Tested: []rekey.Version{version(t, "15.11"), version(t, "16.11"), version(t, "17.0"), version(t, "19.3")}}
		for _, key := range strings.Fields(c.rows) {
			l.Table = append(l.Table, rows[key])
		}
		got := l.Faults()
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestTheWitnessSeesFailures: a case that finds something else is heard.
func TestTheWitnessSeesFailures(t *testing.T) {
	t.Parallel()
	c := prove("1.1-json", func(w *world) { w.want(w.create(nil), 418, "") }).byItself()
	if notes := c.look(t, nil, "19.3", c.run); len(notes) != 1 || !strings.Contains(notes[0], "want 418") {
		t.Errorf("notes: got %q, want one about 418", notes)
	}
	c = prove("1.1-json", func(w *world) { w.settings(); w.object(w.create(nil), 418); w.Errorf("not reached") }).byItself()
	if notes := c.look(t, nil, "19.3", c.run); len(notes) != 1 || !strings.Contains(notes[0], "want 418") {
		t.Errorf("notes: got %q, want one about 418", notes)
	}
}

func parsed(t *testing.T, line string) conformance.Row {
	t.Helper()
	row, err := conformance.ParseRow(line)
	if err != nil {
		t.Fatal(err)
	}
	return row
}
