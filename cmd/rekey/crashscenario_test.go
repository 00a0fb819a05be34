package main_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"rekey/internal/lab/labtest"
)

var (
	fix        = []string{"fix", "--yes"}
	tokenEdit  = []string{"id", "token", "token_obtained_at", "token_expires_at"}
	deployTags = []string{"deploy", "linux"}
)

var createDeleted = scenario{
	name: "create", version: "17.11", fields: tokenEdit, tags: deployTags,
	words: slices.Concat(fix, []string{"--scope", "instance", "--tag-list", "deploy,linux"}),
	plant: func(a *attempt) {
		gone := a.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags})
		a.install(planted{name: "broken", token: gone.Token, id: gone.ID})
		a.remove(gone.ID)
	},
}

var resetRotated = scenario{
	name: "reset", version: "17.11", words: fix, fields: tokenEdit, tags: deployTags,
	plant: func(a *attempt) {
		r := a.lab.Runner("project", a.web, labtest.M{"tag_list": deployTags, "description": "broken"})
		a.install(planted{name: "broken", token: r.Token, id: r.ID})
		a.reset(r.ID)
	},
}

// The answer to the first reset is lost, and the record is replaced instead: the
// longest way that a repair can take.
var resetLost = scenario{
	name: "reset, its answer lost", version: "17.11", words: fix, fields: tokenEdit, tags: deployTags, plant: resetRotated.plant,
	lose: func() *loss { return &loss{path: resetPath, how: lostAnswers["dropped"]} },
}

var given = scenario{
	name: "given token", version: "17.11", words: fix, bare: true, fields: tokenEdit, tags: []string{"given"},
	plant: func(a *attempt) {
		gone := a.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags})
		a.install(planted{name: "broken", token: gone.Token, id: gone.ID})
		a.remove(gone.ID)
		made := a.lab.Runner("instance", 0, labtest.M{"tag_list": []string{"given"}})
		a.tokenFile = a.write("../token", made.Token+"\n")
	},
}

var rewrite = scenario{
	name: "rewrite", version: "17.11", words: fix, bare: true, fields: []string{"token"}, tags: deployTags,
	plant: func(a *attempt) {
		r := a.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags})
		a.install(planted{name: "broken", token: " " + r.Token + "\n", id: r.ID})
	},
}

var mendURL = scenario{
	name: "url", version: "17.11", words: fix, fields: []string{"url"}, tags: deployTags,
	plant: func(a *attempt) {
		r := a.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags})
		a.install(planted{name: "broken", url: a.lab.URL + "/acme/web", token: r.Token, id: r.ID})
	},
}

var assign = scenario{
	name: "assign", version: "17.11", tags: deployTags,
	words: slices.Concat(fix, []string{"--section", "broken", "--expect-project", "acme/api"}),
	plant: func(a *attempt) {
		r := a.lab.Runner("project", a.web, labtest.M{"tag_list": deployTags})
		a.install(planted{name: "broken", token: r.Token, id: r.ID})
	},
	check: func(a *attempt) { a.wantProjects(a.web, a.api) },
}

var register = scenario{
	name: "register", version: "17.11", fields: nil, tags: deployTags,
	words: []string{"register", "--name", "added", "--scope", "instance", "--tag-list", "deploy,linux"},
	plant: func(a *attempt) {
		r := a.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags})
		a.install(planted{name: "broken", token: r.Token, id: r.ID})
	},
	check: func(a *attempt) { a.wantSections("steady", "broken", "added") },
}

// On a machine that has no config yet, nor a system id.
var registerFirst = scenario{
	name: "register on a new host", version: "17.11", tags: deployTags,
	words: []string{"register", "--name", "broken", "--scope", "instance", "--tag-list", "deploy,linux"},
	plant: func(a *attempt) { a.erase() },
	check: func(a *attempt) { a.wantSections("broken") },
}

// Discovery is the probe from 18.7 on; the record is one of two projects, locked.
var separate = scenario{
	name: "create beside, 18.8", version: "18.8", fields: tokenEdit, tags: deployTags,
	words: slices.Concat(fix, []string{"--separate-record"}),
	plant: func(a *attempt) {
		r := a.lab.Runner("project", a.web, labtest.M{"tag_list": deployTags, "description": "broken"})
		a.lab.Must(http.StatusCreated, "POST", fmt.Sprintf("projects/%d/runners", a.api), labtest.M{"runner_id": r.ID}, nil)
		a.lab.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", r.ID), labtest.M{"locked": true}, nil)
		a.install(planted{name: "broken", token: r.Token, id: r.ID})
		a.reset(r.ID)
		a.bystanders[r.ID] = "the record that others use"
	},
	check: func(a *attempt) { a.wantProjects(a.web, a.api) },
}

var resetDiscovered = scenario{
	name: "reset, 18.8", version: "18.8", words: fix, fields: tokenEdit, tags: deployTags, plant: resetRotated.plant,
}

// A canary runs on a record that the repair made, and on one that it found.
var createCanary = scenario{
	name: "create, with a canary", version: "17.11", fields: tokenEdit, tags: deployTags, canary: true, late: true, plant: createDeleted.plant,
	words: slices.Concat(createDeleted.words, []string{"--canary-project", "acme/web"}),
}

var resetCanary = scenario{
	name: "reset, with a canary", version: "17.11", fields: tokenEdit, tags: deployTags, canary: true, late: true, plant: resetRotated.plant,
	words: slices.Concat(fix, []string{"--canary-project", "acme/web"}),
}

// givenUp is a scenario whose interrupted repair is undone instead of finished.
func givenUp(s scenario) scenario {
	s.name, s.late, s.finish, s.fields, s.tags = s.name+", given up", true, []string{"fix", "--undo"}, nil, nil
	s.check = wantOriginal
	return s
}

func wantOriginal(a *attempt) {
	if now := a.read(); now != a.original {
		a.errorf("the config is not as it was:\n%s\nwant\n%s", now, a.original)
	}
}

// undone is the way back of a scenario: the repair ran undisturbed, its undoing
// does not.
func undone(s scenario) scenario {
	plant := s.plant
	words := s.words
	s.name, s.words, s.fields, s.tags = "undo of "+s.name, []string{"fix", "--undo"}, nil, nil
	s.plant = func(a *attempt) {
		plant(a)
		if e := a.run(a.bare, 0, "", a.line(words)...); e.code != 0 {
			a.t.Fatalf("%s: the repair before it: %v", a.what, e)
		}
		a.before = a.read()
		if a.before == a.original {
			a.t.Fatalf("%s: the repair before it changed nothing", a.what)
		}
		a.tokenFile = ""
	}
	s.check = wantOriginal
	return s
}

// scenarios are killed at every point.
func scenarios() []scenario {
	undoReset, undoGiven := undone(resetRotated), undone(given)
	undoReset.check = both(undoReset.check, keepsRecords)
	undoGiven.check = both(undoGiven.check, keepsRecords)
	return []scenario{createDeleted, resetRotated, resetLost, given, rewrite, mendURL, assign, register, registerFirst,
		separate, resetDiscovered, createCanary, resetCanary, undone(createDeleted), undoReset, undoGiven,
		givenUp(createDeleted), givenUp(resetCanary), aborted(createDeleted), aborted(resetRotated), aborted(resetLost),
		overlap, overlapProjects, overlapTwin, overlapTwo, inPlaceTwo, overlapPolled, overlapGivenUp, inPlace, inPlaceTwin, inPlaceLost,
		resetFar, inPlaceFar, overlapFar, undone(resetFar),
		overlapStored, overlapStoredGivenUp, inPlaceStored, inPlaceStoredLost, inPlaceAfar, inPlaceAfarLost, overlapAfar, createStored, createStoredGivenUp, createStoredAborted, inPlaceFarStored, overlapFarStored}
}

func both(one, two func(*attempt)) func(*attempt) {
	return func(a *attempt) { one(a); two(a) }
}

// keepsRecords: a record that the repair did not make is not unmade by its undoing.
func keepsRecords(a *attempt) {
	if n := len(a.records()); n != 2 {
		a.errorf("%d records are left, want 2", n)
	}
}

func (a *attempt) wantProjects(want ...int64) {
	a.t.Helper()
	id := a.verify(a.sectionNamed("broken").Token.Reveal())
	for _, r := range a.records() {
		if r.ID != id {
			continue
		}
		var got []int64
		for _, p := range r.Projects {
			got = append(got, p.ID)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			a.errorf("runner %d serves the projects %v, want %v", id, got, want)
		}
	}
}

// TestScenariosDiffer guards the table: a scenario that is listed twice under one
// name would hide another.
func TestScenariosDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i, s := range scenarios() {
		if seen[s.name] || s.plant == nil || len(s.words) == 0 {
			t.Errorf("scenario %s (%q) is listed twice or does nothing", strconv.Itoa(i), s.name)
		}
		seen[s.name] = true
	}
}
