package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey/internal/cli"
	"rekey/internal/lab/labtest"
)

// prunable is a lab of two months ago with silent runners, and the command line
// of a person in front of it.
type prunable struct {
	*labtest.Lab
	ahead   atomic.Int64 // the lab's clock, beyond the start
	runners []labtest.Issued
}

func newPrunable(t *testing.T, version string, n int) *prunable {
	t.Helper()
	p := &prunable{}
	begin := time.Now().Add(-60 * 24 * time.Hour).Truncate(time.Second)
	p.Lab = labtest.Start(t, labtest.Options{Version: version, Now: func() time.Time { return begin.Add(time.Duration(p.ahead.Load())) }})
	for i := range n {
		r := p.Runner("instance", 0, labtest.M{"description": fmt.Sprintf("silent-%d", i)})
		p.poll(t, r)
		p.runners = append(p.runners, r)
	}
	p.ahead.Store(int64(60 * 24 * time.Hour))
	return p
}

func (p *prunable) poll(t *testing.T, r labtest.Issued) {
	t.Helper()
	if a := p.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": systemID}); a.Status != http.StatusNoContent {
		t.Fatalf("poll: got %d %s", a.Status, a.Body)
	}
}

// prune runs the command; answer is what a person types, "" without a terminal.
func (p *prunable) prune(answer string, flags ...string) (code int, out, err string) {
	var o, e bytes.Buffer
	code = cli.Main(append([]string{"runner", "prune", "--rps", "0", "--older-than", "30d"}, flags...), cli.Streams{In: strings.NewReader(answer), Out: &o, Err: &e,
		InTTY: answer != "", Getenv: func(name string) (string, bool) {
			v, ok := map[string]string{"GITLAB_HOST": p.URL, "GITLAB_TOKEN": p.Admin}[name]
			return v, ok
		}})
	return code, o.String(), e.String()
}

func (p *prunable) left(t *testing.T) int {
	t.Helper()
	var list []json.RawMessage
	p.Must(http.StatusOK, "GET", "runners/all?per_page=100", nil, &list)
	return len(list)
}

var digestLine = regexp.MustCompile(`(?m)^plan ([0-9a-f]{16})$`)

func TestPruneByDigest(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"15.11", "18.5"} {
		p := newPrunable(t, version, 3)
		code, out, _ := p.prune("")
		m := digestLine.FindStringSubmatch(out)
		if code != 0 || m == nil || !strings.Contains(out, "silent-2: last contact 60d ago") || p.left(t) != 3 {
			t.Fatalf("%s: the dry run ends with %d and leaves %d runners:\n%s", version, code, p.left(t), out)
		}
		p.poll(t, p.runners[0])
		if code, _, err := p.prune("", "--yes", "--plan", m[1]); code != 1 || !strings.Contains(err, "the world has moved") || p.left(t) != 3 {
			t.Errorf("%s: a list that has changed: exit %d, %d runners left, %s", version, code, p.left(t), err)
		}
		_, out, _ = p.prune("")
		m = digestLine.FindStringSubmatch(out)
		code, out, err := p.prune("", "--yes", "--plan", m[1], "-o", "json")
		if code != 0 || p.left(t) != 1 || strings.Count(out, `"outcome": "deleted"`) != 2 || err != "" {
			t.Errorf("%s: exit %d, %d runners left, want 0 and 1:\n%s%s", version, code, p.left(t), out, err)
		}
	}
}

func TestPruneAsksOnATerminal(t *testing.T) {
	t.Parallel()
	p := newPrunable(t, "18.5", 2)
	if code, _, _ := p.prune("n\n"); code != 0 || p.left(t) != 2 {
		t.Errorf("after no: exit %d, %d runners left, want 0 and 2", code, p.left(t))
	}
	if code, _, _ := p.prune("y\n", "--dry-run"); code != 0 || p.left(t) != 2 {
		t.Errorf("a dry run asks nothing: exit %d, %d runners left, want 0 and 2", code, p.left(t))
	}
	if code, out, _ := p.prune("y\n"); code != 0 || p.left(t) != 0 || !strings.Contains(out, "2 of 2 runners deleted") {
		t.Errorf("after yes: exit %d, %d runners left, want 0 and 0:\n%s", code, p.left(t), out)
	}
}

// comesBack is a person who thinks for a while before answering, while a runner
// comes back.
type comesBack struct {
	then func()
	text *strings.Reader
}

func (c *comesBack) Read(b []byte) (int, error) {
	if c.then != nil {
		c.then()
		c.then = nil
	}
	return c.text.Read(b)
}

func TestPruneInPartIsExitFour(t *testing.T) {
	t.Parallel()
	p := newPrunable(t, "18.5", 2)
	var o, e bytes.Buffer
	in := &comesBack{func() { p.poll(t, p.runners[1]) }, strings.NewReader("yes\n")}
	code := cli.Main([]string{"runner", "prune", "--rps", "0", "--older-than", "30d"}, cli.Streams{In: in, Out: &o, Err: &e, InTTY: true, Getenv: func(name string) (string, bool) {
		v, ok := map[string]string{"GITLAB_HOST": p.URL, "GITLAB_TOKEN": p.Admin}[name]
		return v, ok
	}})
	if code != 4 || p.left(t) != 1 || !strings.Contains(o.String(), "it was seen since") {
		t.Errorf("exit %d, %d runners left, want 4 and 1:\n%s%s", code, p.left(t), o.String(), e.String())
	}
}
