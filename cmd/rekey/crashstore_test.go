package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A command with "{store}" puts its tokens into secrets beside the config's directory,
// "{id}" is the record of the section.
var stored = []string{"--store", "{store}"}

// overlapStored: the store has the old token, as an agent would have brought it there.
var overlapStored = scenario{
	name: "overlap, store", version: "18.8", words: slices.Concat(rotate, stored), fields: tokenEdit, tags: deployTags,
	plant: func(a *attempt) { overlap.plant(a); a.store(a.sectionNamed("broken").Token.Reveal()) },
	check: func(a *attempt) { a.wantSuccessor(); a.wantStored("") },
}

var overlapStoredGivenUp = scenario{
	name: "overlap, store, given up", version: "18.8", words: overlapStored.words, finish: []string{"fix", "--abort"}, plant: overlapStored.plant,
	check: func(a *attempt) { overlapGivenUp.check(a); a.wantStored("") },
}

// inPlaceStored: the store has nothing yet.
var inPlaceStored = scenario{
	name: "in-place, store", version: "18.8", words: slices.Concat(inPlace.words, stored), fields: tokenEdit, tags: deployTags, plant: overlap.plant,
	check: func(a *attempt) { a.wantStored("") },
}

var inPlaceStoredLost = scenario{
	name: "in-place, store, its answer lost", version: "18.8", words: inPlaceStored.words, fields: tokenEdit, tags: deployTags, plant: overlapStored.plant,
	lose: inPlaceLost.lose, check: inPlaceStored.check,
}

// inPlaceAfar: nothing but the store is written; an agent brings the token to the host.
var inPlaceAfar = scenario{
	name: "in-place, by an agent", version: "18.8", fields: tokenEdit, tags: deployTags, agent: true, canary: true, wait: "5s", // a kill before the answer makes a new record, on which somebody has to be seen
	words: []string{"rotate", "{id}", "--yes", "--strategy", "in-place", "--proof", "verify", "--deliver-by-agent", "--store", "{store}"},
	plant: overlapStored.plant,
	check: func(a *attempt) { a.wantRotated("broken"); a.wantStored("") },
}

var inPlaceAfarLost = scenario{
	name: "in-place, by an agent, its answer lost", version: "18.8", fields: tokenEdit, tags: deployTags, agent: true, words: inPlaceAfar.words, plant: overlapStored.plant,
	lose: inPlaceLost.lose, canary: true, wait: "5s", rare: true, // somebody has to be seen on the record that replaces
	check: func(a *attempt) { a.wantSuccessor(); a.wantStored("") },
}

// overlapAfar: a second record, to which the agent brings the host over.
var overlapAfar = scenario{
	name: "overlap, by an agent", version: "18.8", fields: tokenEdit, tags: deployTags, agent: true, canary: true, wait: "5s", rare: true,
	words: []string{"rotate", "{id}", "--yes", "--deliver-by-agent", "--store", "{store}"}, plant: overlapStored.plant,
	check: inPlaceAfarLost.check,
}

var createStored = scenario{
	name: "create, store", version: "17.11", fields: tokenEdit, tags: deployTags, plant: createDeleted.plant,
	words: slices.Concat(createDeleted.words, stored),
	check: func(a *attempt) { a.wantStored("") },
}

// An undo takes the token of the record that goes with it out of the store again.
var createStoredGivenUp = func() scenario {
	s := givenUp(createStored)
	s.check = both(s.check, func(a *attempt) { a.wantStored("nothing") })
	return s
}()

// Given up by --abort the store has what the section has, or nothing.
var createStoredAborted = func() scenario {
	s := aborted(createStored)
	s.check = both(s.check, func(a *attempt) {
		if a.read() == a.original {
			a.wantStored("nothing")
			return
		}
		a.wantStored("")
	})
	return s
}()

// storeRef is where the scenario's secrets are.
func (a *attempt) storeRef(name string) string {
	dir := filepath.Join(a.dir, "secrets")
	return "file://" + filepath.Join(dir, name+".sealed") + "?key=" + filepath.Join(dir, "key.txt")
}

// filled puts into the words what depends on the host.
func (a *attempt) filled(words []string) []string {
	id := "0"
	if slices.Contains(words, "{id}") {
		id = strconv.FormatInt(int64(sectionsOf(a, a.original)["broken"].ID), 10)
	}
	var args []string
	for _, w := range words {
		args = append(args, strings.NewReplacer("{store}", a.storeRef("{name}"), "{id}", id).Replace(w))
	}
	return args
}

// store puts a token into the secret of the section, as an agent would have.
func (a *attempt) store(token string) {
	a.t.Helper()
	id := strconv.FormatInt(int64(a.sectionNamed("broken").ID), 10)
	if e := a.runWith(token, "secret", "put", a.storeRef("broken"), "--runner-id", id); e.code != 0 {
		a.t.Fatalf("%s: the secret cannot be planted: %v", a.what, e)
	}
}

// wantStored: the secret has the section's token, which works; or, where what is
// "nothing", there is no secret.
func (a *attempt) wantStored(what string) {
	a.t.Helper()
	e := a.runWith("", "secret", "get", a.storeRef("broken"))
	if what == "nothing" {
		if e.code == 0 {
			a.errorf("the secret holds a token, want none: %v", e)
		}
		return
	}
	if e.code == 0 && e.stdout == a.sectionNamed("broken").Token.Reveal() && a.verify(e.stdout) != 0 {
		return
	}
	now := "another token than"
	if e.stdout == "" {
		now = "no token, unlike"
	}
	a.errorf("the secret has %s the section (its token is of runner %d, the section's of %d); exit %d: %s", now, a.verify(e.stdout), a.verify(a.sectionNamed("broken").Token.Reveal()), e.code, e.stderr)
}

// bring lets an agent on the host look once. Before the end it may have nothing good
// to bring.
func (a *attempt) bring(end bool) {
	a.t.Helper()
	if !a.agent {
		return
	}
	state := filepath.Join(a.dir, "agent-state")
	e := a.runWith("", "agent", "--once", "--config", a.config, "--store", a.storeRef("{name}"), "--section", "broken", "--state-dir", state, "--rps", "0")
	if e.code != 0 && end {
		a.errorf("the agent is not content: %v", e)
	}
	must(a.t, os.RemoveAll(state))
}

// runWith runs rekey undisturbed with a standard input and no user token.
func (a *attempt) runWith(stdin string, args ...string) ended {
	a.t.Helper()
	return execute(a.t, a.binary, []string{"HOME=" + a.dir, "REKEY_STATE_DIR=" + a.state}, stdin, args...)
}
