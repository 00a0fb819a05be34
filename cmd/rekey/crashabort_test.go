package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// aborted is a scenario whose interrupted repair is given up by --abort.
func aborted(s scenario) scenario {
	s.name, s.finish, s.fields, s.tags = s.name+", aborted", []string{"fix", "--abort"}, nil, nil
	s.check = wantAllOrNothing
	return s
}

// wantAllOrNothing: the section has a token that works, or the config is as it was
// and no token that GitLab handed out lies in a journal alone; no record is left
// that only the repair made.
func wantAllOrNothing(a *attempt) {
	if a.read() != a.original {
		if a.verify(a.sectionNamed("broken").Token.Reveal()) == 0 {
			a.errorf("the config is edited, and GitLab refuses the token there:\n%s", a.read())
		}
		return
	}
	if a.sealed("reset") {
		a.errorf("the config is as it was, and the token of the reset lies in the journal alone")
	}
	most := 1
	if strings.HasPrefix(a.name, "reset") { // the record that is reset was there before
		most = 2
	}
	if n := len(a.records()); n > most {
		a.errorf("%d records are left with the config as it was, want %d", n, most)
	}
}

// sealed reports whether a journal holds the answer to a step.
func (a *attempt) sealed(step string) bool {
	a.t.Helper()
	for _, name := range names(a.t, filepath.Join(a.state, "operations")) {
		data, err := os.ReadFile(filepath.Join(a.state, "operations", name))
		must(a.t, err)
		for line := range bytes.Lines(data[:bytes.LastIndexByte(data, '\n')+1]) {
			if bytes.Contains(line, []byte(`"step":"`+step+`","phase":"received"`)) {
				return true
			}
		}
	}
	return false
}
