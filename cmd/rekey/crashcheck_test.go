package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"rekey/internal/configtoml"
)

// inspect holds the host and the lab to the promises: no token lost, no orphan,
// no second reset, nothing changed that was not to be changed, nothing left over.
func (a *attempt) inspect() {
	a.t.Helper()
	a.bring(true)
	sections := a.sections()
	a.wantRecords(a.wantTokens(sections))
	if again := a.front.repeated(); len(again) > 0 {
		a.errorf("these runners were reset more than once: %v", again)
	}
	a.wantOnlyIntended()
	a.wantNothingLeft()
	if a.check != nil {
		a.check(a)
	}
}

// sections parses the config as gitlab-runner's library does, and as rekey does.
func (a *attempt) sections() []configtoml.Section {
	a.t.Helper()
	text := a.read()
	if _, err := toml.Decode(text, new(map[string]any)); err != nil {
		a.errorf("gitlab-runner could not load the config: %v", err)
	}
	doc, err := configtoml.Parse([]byte(text))
	if err != nil {
		a.t.Fatalf("%s: rekey cannot load the config: %v", a.what, err)
	}
	return doc.Sections()
}

func (a *attempt) sectionNamed(name string) configtoml.Section {
	a.t.Helper()
	for _, s := range a.sections() {
		if s.Name == name {
			return s
		}
	}
	a.t.Fatalf("%s: the section %q is gone", a.what, name)
	return configtoml.Section{}
}

func (a *attempt) wantSections(want ...string) {
	a.t.Helper()
	var got []string
	for _, s := range a.sections() {
		got = append(got, s.Name)
	}
	if !slices.Equal(got, want) {
		a.errorf("the sections are %v, want %v", got, want)
	}
}

// wantTokens asks the lab about each section, and returns whose tokens they hold.
func (a *attempt) wantTokens(sections []configtoml.Section) map[int64]string {
	a.t.Helper()
	held := map[int64]string{}
	for _, s := range sections {
		id := a.verify(s.Token.Reveal())
		if id == 0 && a.undoes() && s.Name == "broken" {
			continue // it is as broken as it was
		}
		if id == 0 || id != int64(s.ID) || s.URL != a.lab.URL {
			a.errorf("section %q says id %d at %s; its token is of runner %d at %s", s.Name, s.ID, s.URL, id, a.lab.URL)
		}
		held[id] = s.Name
	}
	return held
}

// undoes reports whether the scenario ends with the section as broken as before.
func (a *attempt) undoes() bool {
	return slices.ContainsFunc(slices.Concat(a.words, a.finish), func(word string) bool { return word == "--undo" || word == "--abort" })
}

// wantRecords looks for orphans and for markers that were not taken off.
func (a *attempt) wantRecords(held map[int64]string) {
	a.t.Helper()
	for _, r := range a.records() {
		if i := slices.IndexFunc(r.Tags, func(tag string) bool { return strings.HasPrefix(tag, "rekey-") }); i >= 0 {
			a.errorf("runner %d still wears %s", r.ID, r.Tags[i])
		}
		name, kept := held[r.ID], a.bystanders[r.ID] != ""
		if name == "" && !kept && !a.undoes() {
			a.errorf("runner %d (tags %v) is an orphan: no config has its token", r.ID, r.Tags)
		}
		if (name == "broken" || name == "added") && a.tags != nil && name == a.repaired() && !slices.Equal(slices.Sorted(slices.Values(r.Tags)), a.tags) {
			a.errorf("runner %d of section %q has the tags %v, want %v", r.ID, name, r.Tags, a.tags)
		}
	}
}

// repaired names the section that the command is about.
func (a *attempt) repaired() string {
	if i := slices.Index(a.words, "--name"); i >= 0 {
		return a.words[i+1]
	}
	return "broken"
}

// wantOnlyIntended compares line by line, without the help of what made the edit.
func (a *attempt) wantOnlyIntended() {
	a.t.Helper()
	if a.undoes() || a.original == "" {
		return
	}
	now := a.read()
	if a.words[0] == "register" {
		if !strings.HasPrefix(now, a.original+"\n") {
			a.errorf("register changed what was there:\n%s", now)
		}
		return
	}
	was, is := strings.Split(a.original, "\n"), strings.Split(now, "\n")
	if len(was) != len(is) {
		a.t.Fatalf("%s: the config had %d lines and has %d:\n%s", a.what, len(was), len(is), now)
	}
	begin := slices.IndexFunc(was, func(l string) bool { return strings.Contains(l, "--- broken ---") })
	if a.whole {
		begin = 0
	}
	for i := range was {
		if was[i] == is[i] {
			continue
		}
		key, old, _ := strings.Cut(was[i], " = ")
		newKey, fresh, _ := strings.Cut(is[i], " = ")
		_, oldNote, _ := strings.Cut(old, "  #")
		_, newNote, _ := strings.Cut(fresh, "  #")
		if i < begin || key != newKey || !slices.Contains(a.fields, strings.TrimSpace(key)) || oldNote != newNote {
			a.errorf("line %d of the config changed and should not have: %q", i+1, key)
		}
	}
}

// wantNothingLeft looks for temporary files, and for journals that do not end.
func (a *attempt) wantNothingLeft() {
	a.t.Helper()
	for _, name := range names(a.t, filepath.Dir(a.config)) {
		if name != "config.toml" && name != ".runner_system_id" && name != "builds" {
			a.errorf("%s was left beside the config", name)
		}
	}
	for _, name := range names(a.t, a.state) {
		if name != "key.txt" && name != "operations" {
			a.errorf("%s was left in the state directory", name)
		}
	}
	if open := a.unfinished(); open != "" {
		a.errorf("journal %s", open)
	}
}

// unfinished names a journal that was begun and does not end, "" when each does.
func (a *attempt) unfinished() string {
	open, _ := a.journals()
	return open
}

// journals looks at the last record of each journal: open names one that does not
// end, ended counts those that came to a good one.
func (a *attempt) journals() (open string, ended int) {
	a.t.Helper()
	for _, name := range names(a.t, filepath.Join(a.state, "operations")) {
		data, err := os.ReadFile(filepath.Join(a.state, "operations", name))
		must(a.t, err)
		whole := data[:bytes.LastIndexByte(data, '\n')+1] // a torn line was not acknowledged
		if len(whole) == 0 {
			continue
		}
		lines := bytes.Split(bytes.TrimSpace(whole), []byte("\n"))
		var last struct {
			Step string
			Data struct{ Status string }
		}
		if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.Step != "end" {
			open = fmt.Sprintf("%s does not end: its last step is %q (%v)", name, last.Step, err)
			continue
		}
		if last.Data.Status != "failed" {
			ended++
		}
	}
	return open, ended
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
