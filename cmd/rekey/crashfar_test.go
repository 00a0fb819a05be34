package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The same over ssh: a process that is killed leaves a connection behind, and the
// script at its other end.
var resetFar = scenario{
	name: "reset, over ssh", version: "17.11", words: fix, far: true, rare: true, fields: tokenEdit, tags: deployTags, plant: resetRotated.plant,
}

var inPlaceFar = scenario{
	name: "in-place, two hosts over ssh", version: "17.11", words: inPlace.words, far: true, rare: true, fields: tokenEdit, tags: deployTags, twin: true, plant: overlapTwin.plant,
	check: func(a *attempt) { a.wantTwin() },
}

var overlapFar = scenario{
	name: "overlap, two hosts over ssh", version: overlapTwin.version, words: overlapTwin.words, far: true, rare: true, fields: overlapTwin.fields, tags: overlapTwin.tags, twin: true, plant: overlapTwin.plant,
	check: overlapTwin.check,
}

// With a store as well: one secret for what both hosts share.
var inPlaceFarStored = scenario{
	name: "in-place, store, two hosts over ssh", version: "17.11", words: slices.Concat(inPlaceFar.words, stored), far: true, rare: true, fields: tokenEdit, tags: deployTags, twin: true,
	plant: func(a *attempt) { inPlaceFar.plant(a); a.store(a.sectionNamed("broken").Token.Reveal()) },
	check: both(inPlaceFar.check, func(a *attempt) { a.wantStored("") }),
}

var overlapFarStored = scenario{
	name: "overlap, store, two hosts over ssh", version: overlapFar.version, words: slices.Concat(overlapFar.words, stored), far: true, rare: true, fields: overlapFar.fields, tags: overlapFar.tags, twin: true,
	plant: func(a *attempt) { overlapFar.plant(a); a.store(a.sectionNamed("broken").Token.Reveal()) },
	check: both(overlapFar.check, func(a *attempt) { a.wantStored("") }),
}

// dyingHost has the second host refuse all connections, and end those that stand, from
// the moment at which GitLab has answered a reset.
func dyingHost(t *testing.T, a *attempt) (revive func()) {
	t.Helper()
	dir := t.TempDir()
	dead, pids, real := filepath.Join(dir, "dead"), filepath.Join(dir, "pids"), a.ssh.Program
	must(t, os.WriteFile(filepath.Join(dir, "ssh"), []byte(fmt.Sprintf(`#!/bin/sh
for word; do
	[ "$word" = runner2 ] || continue
	[ -e %[1]s ] && { echo "ssh: connect to host runner2 port 22: Connection refused" >&2; exit 255; }
	echo $$ >>%[2]s
done
exec %[3]s "$@"
`, dead, pids, real)), 0o755))
	a.ssh.Program = filepath.Join(dir, "ssh")
	a.front.begin(&loss{path: resetPath, how: func(w http.ResponseWriter, answer *recorded) {
		must(t, os.WriteFile(dead, nil, 0o600))
		text, _ := os.ReadFile(pids)
		for _, pid := range regexp.MustCompile(`\d+`).FindAllString(string(text), -1) {
			n, _ := strconv.Atoi(pid)
			if p, err := os.FindProcess(n); err == nil {
				_ = p.Kill() // the client: the host is gone with its connection
			}
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body.Bytes())
	}})
	return func() { must(t, os.Remove(dead)) }
}

// TestHostDiesBetweenResetAndDelivery: the token that was received gets to the host
// that is there at once, and to the other when it is back, without a second reset.
func TestHostDiesBetweenResetAndDelivery(t *testing.T) {
	t.Parallel()
	a := &attempt{scenario: inPlaceFar, world: newWorld(t, inPlaceFar.version), what: "the second host dies"}
	a.begin()
	revive := dyingHost(t, a)
	old := a.sectionNamed("broken").Token
	first := a.run(false, 0, "", a.args()...)
	if first.code == 0 || !strings.Contains(first.stdout+first.stderr, "runner2") || !strings.Contains(first.stdout, "next") {
		t.Fatalf("a host died: got %v, want it named, and what to do", first)
	}
	if a.sectionNamed("broken").Token == old {
		t.Error("the host that was there has not got the new token")
	}
	if again := a.run(false, 0, "", "fix", "--resume", "--rps", "0", "--proof-wait", "0s", "--recheck-after", "0s"); again.code == 0 {
		t.Errorf("it is still dead: got %v", again)
	}
	revive()
	if last := a.run(false, 0, "", "fix", "--resume", "--rps", "0", "--proof-wait", "0s", "--recheck-after", "0s"); last.code != 0 {
		t.Errorf("it is back: got %v", last)
	}
	a.inspect()
}
