package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekey/internal/configtoml"
	"rekey/internal/lab/labtest"
)

var rotate = []string{"rotate", "broken", "--yes"}

// overlap is the rotation of a good token: nothing is broken, whatever the
// section is called.
var overlap = scenario{
	name: "overlap", version: "18.8", words: rotate, fields: tokenEdit, tags: deployTags,
	plant: func(a *attempt) {
		r := a.lab.Runner("project", a.web, labtest.M{"tag_list": deployTags, "description": "broken"})
		a.install(planted{name: "broken", token: r.Token, id: r.ID})
	},
	check: func(a *attempt) { a.wantSuccessor() },
}

var overlapProjects = scenario{
	name: "overlap, two projects, 17.11", version: "17.11", words: rotate, fields: tokenEdit, tags: deployTags,
	plant: func(a *attempt) {
		overlap.plant(a)
		id := int64(a.sectionNamed("broken").ID)
		a.lab.Must(http.StatusCreated, "POST", fmt.Sprintf("projects/%d/runners", a.api), labtest.M{"runner_id": id}, nil)
		a.lab.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", id), labtest.M{"locked": true}, nil)
	},
	check: func(a *attempt) { a.wantSuccessor(); a.wantProjects(a.web, a.api) },
}

// overlapTwin: two hosts share the record.
var overlapTwin = scenario{
	name: "overlap, two hosts", version: "18.8", words: rotate, fields: tokenEdit, tags: deployTags, twin: true,
	plant: func(a *attempt) { overlap.plant(a); a.plantTwin() },
	check: func(a *attempt) { a.wantSuccessor(); a.wantTwin() },
}

// overlapTwo: two sections of one file at once, whose edits are made together.
var overlapTwo = scenario{
	name: "overlap, two sections", version: "18.8", words: []string{"rotate", "broken", "steady", "--yes"}, fields: tokenEdit, tags: deployTags, whole: true,
	plant: overlap.plant,
	check: func(a *attempt) { a.wantSuccessor(); a.wantRotated("steady") },
}

var inPlaceTwo = scenario{
	name: "in-place, two sections", version: "18.8", words: slices.Concat(overlapTwo.words, []string{"--strategy", "in-place"}), fields: tokenEdit, tags: deployTags, whole: true,
	plant: overlap.plant,
	check: func(a *attempt) { a.wantRotated("broken"); a.wantRotated("steady") },
}

// overlapPolled: a gitlab-runner works with the config all the while, so that its
// manager is seen on both records.
var overlapPolled = scenario{
	name: "overlap, polled", version: "18.8", words: rotate, fields: tokenEdit, tags: deployTags, canary: true, wait: "20s", rare: true,
	plant: overlap.plant, check: overlap.check,
}

// overlapGivenUp: taken back while that can be done, else left as it is.
var overlapGivenUp = scenario{
	name: "overlap, given up", version: "18.8", words: rotate, finish: []string{"fix", "--abort"}, plant: overlap.plant,
	check: func(a *attempt) {
		records := a.records()
		if a.read() == a.original {
			if len(records) != 2 || slices.ContainsFunc(records, func(r record) bool { return r.Paused || strings.Contains(r.Description, "retiring") }) {
				a.errorf("the config is as it was, and the records are %+v", records)
			}
			return
		}
		a.wantSuccessor()
	},
}

var inPlace = scenario{
	name: "in-place", version: "18.8", words: slices.Concat(rotate, []string{"--strategy", "in-place"}), fields: tokenEdit, tags: deployTags, plant: overlap.plant,
}

var inPlaceTwin = scenario{
	name: "in-place, two hosts", version: "17.11", words: inPlace.words, fields: tokenEdit, tags: deployTags, twin: true, plant: overlapTwin.plant,
	check: func(a *attempt) { a.wantTwin() },
}

// inPlaceLost: the answer to the reset does not arrive, and a new record replaces
// the old one on both hosts.
var inPlaceLost = scenario{
	name: "in-place, its answer lost", version: "17.11", words: inPlace.words, fields: tokenEdit, tags: deployTags, twin: true, plant: overlapTwin.plant,
	lose:  func() *loss { return &loss{path: resetPath, how: lostAnswers["truncated"]} },
	check: func(a *attempt) { a.wantTwin() },
}

// wantSuccessor: the one record of the section is another than before, and has
// its description.
func (a *attempt) wantSuccessor() {
	a.t.Helper()
	now, was := a.sectionNamed("broken"), sectionsOf(a, a.original)
	records := a.records()
	if len(records) != 2 || now.ID == was["broken"].ID || now.Token == was["broken"].Token {
		a.errorf("the section has id %d after %d, and there are %d records; want another id, and 2", now.ID, was["broken"].ID, len(records))
	}
	for _, r := range records {
		if r.ID == int64(now.ID) && (r.Description != "broken" || r.Paused) {
			a.errorf("the new record is %+v, want it active and described as broken", r)
		}
	}
}

// wantRotated: the section has another token than before.
func (a *attempt) wantRotated(name string) {
	a.t.Helper()
	if a.sectionNamed(name).Token == sectionsOf(a, a.original)[name].Token {
		a.errorf("section %q has the token that it had", name)
	}
}

func sectionsOf(a *attempt, text string) map[string]configtoml.Section {
	a.t.Helper()
	doc, err := configtoml.Parse([]byte(text))
	must(a.t, err)
	all := map[string]configtoml.Section{}
	for _, s := range doc.Sections() {
		all[s.Name] = s
	}
	return all
}

// twinConfig is the config of the second host.
func (a *attempt) twinConfig() string { return filepath.Join(a.dir, "twin", "config.toml") }

// plantTwin gives a second host the same section under another name.
func (a *attempt) plantTwin() {
	a.t.Helper()
	s := a.sectionNamed("broken")
	must(a.t, os.MkdirAll(filepath.Dir(a.twinConfig()), 0o700))
	a.write("../twin/.runner_system_id", "r_CANARY543210")
	a.write("../twin/config.toml", fmt.Sprintf("# the other host\n[[runners]]\n  url = %q\n  id = %d\n  token = %q\n  name = \"twin\"\n  executor = \"shell\"\n", s.URL, s.ID, s.Token.Reveal()))
}

// wantTwin: both hosts have one token, and the second's file is otherwise as it
// was.
func (a *attempt) wantTwin() {
	a.t.Helper()
	text, err := os.ReadFile(a.twinConfig())
	must(a.t, err)
	twin, ok := sectionsOf(a, string(text))["twin"]
	if own := a.sectionNamed("broken"); !ok || twin.Token != own.Token || twin.ID != own.ID {
		a.errorf("the second host has runner %d, the first %d, and want one token", twin.ID, own.ID)
	}
	if n := strings.Count(string(text), "\n"); n != 9 || !strings.HasPrefix(string(text), "# the other host\n[[runners]]\n  url = ") {
		a.errorf("the second host's file is not as it was but for id, token and dates:\n%s", text)
	}
}
