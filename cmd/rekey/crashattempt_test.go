package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/internal/host/ssh/sshtest"
	"rekey/internal/lab/labtest"
	"rekey/internal/lab/simrunner"
)

// scenario is one remedy under way: a host and a lab as they are before, the
// command, and what it must come to whatever happens on the way.
type scenario struct {
	name    string
	version string
	words   []string // the command
	bare    bool     // run without a user token
	lose    func() *loss
	canary  bool     // a simulated runner polls
	wait    string   // --proof-wait, where not 0s
	whole   bool     // every section is changed, not the broken one alone
	far     bool     // the hosts are reached over ssh
	twin    bool     // a second host holds the token, and its config is given too
	agent   bool     // before the end is looked at an agent on the host brings what the store holds
	rare    bool     // a run takes seconds: fewer points outside of make crash
	late    bool     // points before the edit is done are left to other scenarios
	finish  []string // what is given after the kill, where it is not the command again

	plant  func(a *attempt)
	fields []string // keys of the section "broken" that the repair changes
	tags   []string // of its record at the end
	check  func(a *attempt)
}

// attempt is one run of a scenario and what followed it.
type attempt struct {
	scenario
	*world
	what string // names it in failures

	original   string           // the config before everything
	before     string           // the config before the command
	bystanders map[int64]string // records that may stay although no config has them, and why
	tokenFile  string           // with --token-file
	failed     bool
}

// begin makes the host and plants what the scenario repairs.
func (a *attempt) begin() {
	a.t.Helper()
	var lose *loss
	if a.lose != nil {
		lose = a.lose()
	}
	a.host(lose)
	if a.far && a.ssh == nil {
		a.ssh = sshtest.Start(a.t)
	}
	a.bystanders = map[int64]string{}
	a.plant(a)
	if a.before == "" {
		a.before = a.original
	}
}

func (a *attempt) args() []string { return a.line(a.words) }

// line adds to the words what depends on the host.
func (a *attempt) line(words []string) []string {
	args := a.filled(words)
	wait := "0s"
	if a.wait != "" {
		wait = a.wait
	}
	args = append(args, "--rps", "0", "--proof-wait", wait, "--recheck-after", "0s")
	if !slices.Contains(args, "--deliver-by-agent") {
		args = append(args, a.at("runner1", a.config)...)
	}
	if a.twin && args[0] != "fix" {
		args = append(args, a.at("runner2", a.twinConfig())...)
	}
	if a.tokenFile != "" {
		args = append(args, "--token-file", a.tokenFile)
	}
	return args
}

// at names a config as the command is told of it.
func (a *attempt) at(host, config string) []string {
	if a.far {
		return []string{"--host", "ssh://" + host + config}
	}
	return []string{"--config", config}
}

// resumes bounds how often the command is given again after it was stopped.
const resumes = 3

// settle gives the command again until it is content, and then looks at what it
// came to. first is how the run ended that was interrupted.
func (a *attempt) settle(first ended) {
	a.t.Helper()
	last := first
	for i := 0; i < resumes && last.code != 0 && !over(last) && !a.complete(); i++ {
		a.bring(false)
		last = a.resume(0)
	}
	if last.code != 0 && !over(last) && !a.complete() {
		a.errorf("is not content after %d more runs: first %v\nlast %v", resumes, first, last)
	}
	a.inspect()
	if a.failed {
		a.t.Logf("%s: first %v\nlast %v", a.what, first, last)
	}
}

// over reports whether there was nothing left to undo or to give up.
func over(e ended) bool {
	return strings.Contains(e.stderr, "there is no edit to undo") || strings.Contains(e.stderr, "there is nothing to abort")
}

// resume gives the command that finishes the work, killed at a point or not (0).
// A register that was begun is finished by fix; before that it is given again.
func (a *attempt) resume(at int) ended {
	words := a.words
	if a.finish != nil {
		words = a.finish
	}
	if a.words[0] == "register" && a.unfinished() != "" {
		words = fix
	}
	return a.run(a.bare, at, "", a.line(words)...)
}

// complete reports whether a killed register or rotate had come to its end: given
// again, it would add a second section, or rotate once more.
func (a *attempt) complete() bool {
	open, ended := a.journals()
	return (a.words[0] == "register" || a.words[0] == "rotate") && a.finish == nil && open == "" && ended > 0
}

func (a *attempt) errorf(format string, args ...any) {
	a.t.Helper()
	a.failed = true
	a.t.Errorf("%s: "+format, append([]any{a.what}, args...)...)
}

// poll runs a simulated gitlab-runner on the host until stop is called, where the
// scenario has a canary.
func (a *attempt) poll() (stop func()) {
	if !a.canary {
		return func() {}
	}
	runner, err := simrunner.New(simrunner.Options{Config: a.config, Now: time.Now, BuildsDir: filepath.Join(a.dir, "builds")})
	must(a.t, err)
	ctx, cancel := context.WithCancel(a.t.Context())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			a.errorf("the simulated runner ended with %v", err)
		}
	}
}

// planted is a section of the host's config.
type planted struct {
	name, url, token string
	id               int64
}

// install writes a config of two sections, the one that works and the one that
// the scenario broke, with what people put between them.
func (a *attempt) install(broken planted) {
	a.t.Helper()
	steady := a.lab.Runner("instance", 0, labtest.M{"description": "steady", "tag_list": []string{"steady"}})
	if broken.url == "" {
		broken.url = a.lab.URL
	}
	obtained := time.Now().UTC().Add(-10 * time.Minute).Format(time.RFC3339) // not so fresh that doctor would ask again
	var b strings.Builder
	b.WriteString("# Runner host. Ask the platform team before you touch this file.\nconcurrent = 4   # two cores, twice\ncheck_interval = 1\n\n[session_server]\n  session_timeout = 1800\n")
	for _, s := range []planted{{"steady", a.lab.URL, steady.Token, steady.ID}, broken} {
		fmt.Fprintf(&b, "\n# --- %s ---\n[[runners]]\n  name = %q # as in the inventory\n  url = %q  # no trailing slash\n  id = %d\n  token = %q  # from the password store\n", s.name, s.name, s.url, s.id, s.token)
		b.WriteString("  token_obtained_at = " + obtained + "\n  token_expires_at = 0001-01-01T00:00:00Z\n  executor = \"shell\"\n  environment = [\"KEY=${KEY}\"]\n  team_contact = 'infra@example.com'\n\t[runners.cache]\n    MaxUploadedArchiveSize = 0\n")
	}
	b.WriteString("# end of file")
	a.original = b.String()
	a.write("config.toml", a.original)
}

// points reads the log of a run's points.
func points(t testing.TB, log string) []string {
	t.Helper()
	data, err := os.ReadFile(log)
	must(t, err)
	var names []string
	for line := range strings.Lines(string(data)) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		names = append(names, name)
	}
	return names
}
