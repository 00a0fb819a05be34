package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

// agentCrash is a change that `rekey agent --once` is killed in the middle of.
type agentCrash struct {
	name string
	// change makes config and store differ, and returns the token that both are to
	// hold in the end.
	change func(a *attempt) string
	// meanwhile happens between the kill and the next start, and returns the token
	// likewise; nil: nothing does.
	meanwhile func(a *attempt) string
}

// another is a record whose token goes into the store.
func another(a *attempt) string {
	made := a.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags})
	a.put(made.Token)
	return made.Token
}

// selfRotated is what gitlab-runner does: a reset with the token itself, and a file that
// is truncated and written.
func selfRotated(a *attempt) string {
	old := a.sectionNamed("broken").Token.Reveal()
	answer := a.lab.Call("POST", "runners/reset_authentication_token", "", labtest.M{"token": old})
	if answer.Status != http.StatusCreated {
		a.t.Fatalf("rotating: %d %s", answer.Status, answer.Body)
	}
	var next labtest.Issued
	answer.Decode(a.t, &next)
	a.write("config.toml", strings.ReplaceAll(a.read(), old, next.Token))
	return next.Token
}

var agentCrashes = []agentCrash{
	{name: "delivered", change: another},
	{name: "pushed", change: selfRotated},
	{name: "filled", change: func(a *attempt) string {
		token := another(a)
		a.write("config.toml", strings.ReplaceAll(a.read(), a.sectionNamed("broken").Token.Reveal(), ""))
		return token
	}},
	{name: "delivered, and the store moves on", change: another, meanwhile: another},
	{name: "delivered, and gitlab-runner rotates", change: another, meanwhile: func(a *attempt) string {
		before := a.ref("get")
		if a.sectionNamed("broken").Token.Reveal() == before { // the delivery was made: the new one is the runner's
			return selfRotated(a)
		}
		selfRotated(a)
		return before // both changed and are good: the store's counts
	}},
}

func (a *attempt) secretFile() string { return filepath.Join(a.dir, "tokens", "broken.sealed") }

// ref runs rekey secret on the section's secret.
func (a *attempt) ref(verb string, args ...string) string {
	a.t.Helper()
	e := a.run(true, 0, "", append([]string{"secret", verb, "file://" + a.secretFile()}, args...)...)
	if e.code != 0 {
		a.t.Fatalf("%s: %v", a.what, e)
	}
	return e.stdout
}

func (a *attempt) put(token string) {
	a.t.Helper()
	file := filepath.Join(a.dir, "token")
	must(a.t, os.WriteFile(file, []byte(token), 0o600))
	a.ref("put", "--file", file)
	must(a.t, os.Remove(file))
}

// once runs the agent, killed at a point or not (0).
func (a *attempt) once(at int, log string) ended {
	return a.run(true, at, log, "agent", "--once", "--config", a.config, "--section", "broken", "--store", "file://"+filepath.Join(a.dir, "tokens", "{name}.sealed"), "--rps", "0")
}

// apart makes a host whose config and store agree, and then do not.
func (c agentCrash) apart(a *attempt) (want string) {
	a.begin()
	if e := a.once(0, ""); e.code != 0 {
		a.t.Fatalf("%s: the agreement before: %v", a.what, e)
	}
	return c.change(a)
}

// TestCrashAgent kills the agent at every named point, starts it again, and wants config
// and store to hold one good token, no token lost, and nothing left over.
func TestCrashAgent(t *testing.T) {
	t.Parallel()
	plant := func(a *attempt) {
		r := a.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags})
		a.install(planted{name: "broken", token: r.Token, id: r.ID})
		must(a.t, os.MkdirAll(filepath.Dir(a.secretFile()), 0o700))
	}
	for _, c := range agentCrashes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "17.11")
			attempted := func(what string) *attempt {
				return &attempt{scenario: scenario{name: c.name, plant: plant}, world: w, what: what}
			}
			log := filepath.Join(t.TempDir(), "points")
			a := attempted("undisturbed")
			want := c.apart(a)
			if e := a.once(0, log); e.code != 0 {
				t.Fatalf("undisturbed: %v", e)
			}
			a.wantInStep(want)
			passed := points(t, log)
			killed := 0
			numbers := chosen(passed, 1, len(c.name))
			if c.meanwhile != nil && os.Getenv("REKEY_CRASH_EVERY") == "" { // its refusals are waited for
				numbers = some(numbers, len(numbers)/3)
			}
			for _, n := range numbers {
				a := attempted(fmt.Sprintf("killed at %d %s", n, passed[n-1]))
				want := c.apart(a)
				first := a.once(n, "")
				if !first.killed() {
					a.errorf("it was not killed: %v", first)
					continue
				}
				killed++
				if c.meanwhile != nil {
					want = c.meanwhile(a)
				}
				if n%3 == 0 { // the next start is killed too
					a.what += ", and again at " + strconv.Itoa(1+n/3)
					a.once(1+n/3, "")
				}
				last := a.once(0, "")
				if last.code != 0 {
					a.errorf("it does not converge: %v", last)
				}
				a.wantInStep(want)
			}
			fmt.Printf("agent, %s: %d points, %d killed\n", c.name, len(passed), killed)
		})
	}
}

// wantInStep looks at what it came to.
func (a *attempt) wantInStep(want string) {
	a.t.Helper()
	if got := a.sectionNamed("broken").Token.Reveal(); got != want {
		a.errorf("the config holds another token than was wanted (the store's: %v)", a.ref("get") == got)
	}
	if got := a.ref("get"); got != want {
		a.errorf("the store holds another token than was wanted")
	}
	if a.verify(want) == 0 {
		a.errorf("GitLab does not take the token")
	}
	for _, dir := range []string{filepath.Dir(a.config), a.state, filepath.Join(a.state, "agent"), filepath.Dir(a.secretFile())} {
		for _, name := range names(a.t, dir) {
			if !slices.Contains([]string{"config.toml", ".runner_system_id", "key.txt", "operations", "agent", "secret", "agreed.json", "broken.sealed"}, name) {
				a.errorf("%s was left in %s", name, dir)
			}
		}
	}
	if open := a.unfinished(); open != "" {
		a.errorf("journal %s", open)
	}
}
