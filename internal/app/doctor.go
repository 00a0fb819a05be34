package app

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/diagnose"
	fleets "rekey/internal/fleet" // package app has a type fleet
	"rekey/internal/gitlab"
	"rekey/internal/host"
	"rekey/internal/remedy"
	"rekey/internal/upgrade"
)

// DoctorInput is what doctor is asked.
type DoctorInput struct {
	Access                     Access
	Configs                    []string // empty: CONFIG_FILE, else the standard locations
	Hosts                      Hosts    // where else to look
	NoTouch, Touch             bool
	ExpectScope, ExpectProject string
	Job                        string   // address of a stuck job, "" for none
	ForGitLab                  string   // a version to judge the facts for as well, "" for none
	Logs                       []string // files with gitlab-runner's log
	// Announce is told before the first section is asked about how long it will
	// take, where the budget sets the pace.
	Announce func(Estimate)
	Progress func(done, total int)
}

// Estimate is how long a diagnosis will take.
type Estimate struct {
	Sections int
	RPS      float64 // requests a second to the GitLab that takes longest
	Time     time.Duration
	// Pause is how long a GitLab wants to be left alone from now on, 0 for not at
	// all. It may be called at any time.
	Pause func() time.Duration
}

// DoctorOutput is what it answers. Report is the promise to programs; Warnings
// are for people.
type DoctorOutput struct {
	Report   diagnose.Report
	Upgrade  *upgrade.Report // nil without ForGitLab
	Warnings []string
}

// Doctor collects facts and judges them. It changes nothing anywhere.
//
// When ctx ends first, the report is what was known by then, and says so.
func (a *App) Doctor(ctx context.Context, in DoctorInput) (DoctorOutput, error) {
	target, err := in.target()
	if err != nil {
		return DoctorOutput{}, err
	}
	if _, err := expectation(in); err != nil {
		return DoctorOutput{}, err
	}
	n, err := a.network(in.Access)
	if err != nil {
		return DoctorOutput{}, err
	}
	if in.Job != "" {
		return a.stuckJob(ctx, n, in)
	}
	logs, err := openLogs(in.Logs)
	if err != nil {
		return DoctorOutput{}, err
	}
	sources, err := a.sources(in)
	if err != nil {
		return DoctorOutput{}, err
	}
	unseen := unseenProject(ctx, n, in)
	if unseen != "" {
		in.ExpectProject = ""
	}
	facts, err := a.observe(ctx, n, in, sources, logs...)
	if err != nil && !facts.Interrupted {
		return DoctorOutput{}, err
	}
	out := DoctorOutput{Report: diagnose.Judge(facts)}
	if unseen != "" {
		out.Report.Notes = append(out.Report.Notes, unseen)
	}
	if in.ForGitLab != "" {
		out.Upgrade = upgrade.Judge(facts, out.Report, target)
	}
	if n.client != nil && !slices.ContainsFunc(facts.Servers, func(s diagnose.Server) bool { return gitlab.SameGitLab(s.URL, n.base) }) && len(facts.Servers) > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the user token is for %s, and no section points there: it was not used (set GITLAB_HOST or --url%s)", n.base, nearly(n.base, facts.Servers)))
	}
	return out, nil
}

// unseenProject tells that the project which the runners are to serve is none that
// the user token may see: what is not known to be there proves no wrong scope. "" where
// it is there, or where that cannot be asked.
func unseenProject(ctx context.Context, n *network, in DoctorInput) string {
	if in.ExpectProject == "" || n.client == nil {
		return ""
	}
	ctx, stop := context.WithTimeout(ctx, cmp.Or(in.Access.Timeout, 30*time.Second))
	defer stop()
	if _, err := n.client.Project(ctx, in.ExpectProject); rekey.KindOf(noRoute(err)) != rekey.KindNotFound {
		return ""
	}
	return fmt.Sprintf("%s has no project %s that the user token may see (GET /projects/:id): whether the runners serve it cannot be told; look at the spelling, or give a token of somebody who may see it", n.base, in.ExpectProject)
}

// nearly names the GitLab of the sections that differs from base by scheme or port
// only: the address that was meant.
func nearly(base string, servers []diagnose.Server) string {
	meant, err := url.Parse(base)
	for _, s := range servers {
		if u, bad := url.Parse(s.URL); err == nil && bad == nil && strings.EqualFold(u.Hostname(), meant.Hostname()) {
			u.User, u.RawQuery, u.Fragment = nil, "", "" // a password in it is nobody's to read
			return " with scheme and port, as the section has it: " + u.String()
		}
	}
	return ""
}

func (a *App) observe(ctx context.Context, n *network, in DoctorInput, sources []controller.Source, logs ...controller.Log) (diagnose.Facts, error) {
	expect, err := expectation(in)
	if err != nil {
		return diagnose.Facts{}, err
	}
	o := &controller.Observer{
		Ask: n.ask, BaseURL: gitlab.BaseURL,
		Fleet: func(base string, bound remedy.Bound) controller.Fleet {
			if c := n.clientFor(base); c != nil {
				return fleet{c.WithBound(gitlab.Bound(bound))}
			}
			return nil
		},
		Clock: func(base string) (server, read time.Time) { return n.options.Budgets.For(base).Clock() },
		Begin: func(sections int, requests map[string]int) { in.announce(n.options.Budgets, sections, requests) },
		Registration: func(ctx context.Context, base string) (*bool, rekey.Evidence) {
			return n.prober.ProbeRegistration(ctx, base, n.options.CAFile)
		},
		Now: a.Now, Patience: in.Access.Timeout,
		NoTouch: in.NoTouch, Touch: in.Touch, Progress: in.Progress, Logs: logs,
		AskRegistration: in.ForGitLab != "",
	}
	facts := o.Observe(ctx, sources, expect)
	var tokens []rekey.Token
	for _, c := range facts.Configs {
		for _, s := range c.Sections {
			tokens = append(tokens, s.Token)
		}
	}
	a.saw(tokens...)
	if err := ctx.Err(); err != nil {
		return facts, rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", err)
	}
	return facts, nil
}

func (in DoctorInput) target() (rekey.Version, error) {
	switch {
	case in.ForGitLab == "":
		return rekey.Version{}, nil
	case in.Job != "":
		return rekey.Version{}, rekey.Errorf(rekey.KindInvalid, "a job waits today, whatever GitLab comes").WithHint("give --job or --for-gitlab")
	}
	return fleets.ParseTarget(in.ForGitLab)
}

// announce tells how long the foreseen requests take at the budget's pace.
func (in DoctorInput) announce(budgets *gitlab.Budgets, sections int, requests map[string]int) {
	if in.Announce == nil {
		return
	}
	e := Estimate{Sections: sections, Pause: budgets.Pause}
	for base, n := range requests {
		rate := budgets.For(base).Rate()
		if rate == 0 {
			continue
		}
		if took := time.Duration(float64(n) / rate * float64(time.Second)); took > e.Time {
			e.RPS, e.Time = rate, took
		}
	}
	in.Announce(e)
}

func expectation(in DoctorInput) (diagnose.Expectation, error) {
	e := diagnose.Expectation{Project: in.ExpectProject}
	if in.ExpectScope == "" {
		return e, nil
	}
	var err error
	e.Scope, err = rekey.ParseScope(in.ExpectScope)
	return e, err
}

// configs returns the files to look at: those named, else CONFIG_FILE, else what
// is there of the standard locations.
func (a *App) configs(named []string) ([]string, error) {
	if len(named) > 0 {
		return distinct(named), nil
	}
	if path := a.env("CONFIG_FILE"); path != "" {
		return []string{path}, nil
	}
	var paths, closed []string
	local := a.machine()
	for _, c := range local.StandardConfigs() {
		if c.Problem != "" && !c.Context.Expected() {
			closed = append(closed, c.Path)
		} else {
			paths = append(paths, c.Path)
		}
	}
	if len(paths) == 0 {
		paths = inForce(local)
	}
	if len(paths) == 0 {
		paths = closed // the reason is better than nothing
	}
	if len(paths) == 0 {
		return nil, rekey.Errorf(rekey.KindNotFound, "no config.toml is in the standard locations").
			WithHint("name one: `rekey doctor --config /path/to/config.toml`, or watch `rekey lab demo`")
	}
	return paths, nil
}

// inForce returns the configs of the gitlab-runners that run here, as far as they
// are of this machine's own file system.
func inForce(local host.Host) []string {
	var paths []string
	running, _ := local.Processes()
	for _, p := range running {
		if p.Executable == "gitlab-runner" && p.Command == "run" && p.Uses(p.Config) {
			paths = append(paths, p.Config)
		}
	}
	return distinct(paths)
}

// distinct leaves out a file that was named before, be it by another path: its
// sections would seem to share their tokens.
func distinct(paths []string) []string {
	var kept []string
	var seen []os.FileInfo
	for _, path := range paths {
		info, err := os.Stat(path)
		same := func(other os.FileInfo) bool { return err == nil && os.SameFile(info, other) }
		if slices.ContainsFunc(seen, same) || slices.Contains(kept, path) {
			continue
		}
		kept = append(kept, path)
		if err == nil {
			seen = append(seen, info)
		}
	}
	return kept
}

// ask is the remedy.Probe of a network.
func (n *network) ask(ctx context.Context, q remedy.Question) rekey.Answer {
	if q.Remote != nil {
		return n.prober.Probe(ctx, gitlab.ProbeRequest{URL: q.URL, Token: q.Token, SystemID: q.SystemID, PreferVerify: q.Verify,
			AllowVerifyWithoutSystemID: q.Touch, Bound: gitlab.Bound(q.Bound), PEM: &gitlab.PEM{CA: q.Remote.CA, Cert: q.Remote.Cert, Key: q.Remote.Key}})
	}
	for _, file := range []string{q.TLS.CA, q.TLS.Cert, q.TLS.Key} {
		if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
			return rekey.Answer{Kind: rekey.AnswerUnreachable, Message: "the TLS file " + file + " that the section names is not a regular file", At: n.options.Now()}
		}
	}
	ca := q.TLS.CA
	if ca == "" {
		ca = defaultCA(q)
	}
	if ca == "" {
		ca = n.options.CAFile
	}
	return n.prober.Probe(ctx, gitlab.ProbeRequest{URL: q.URL, Token: q.Token, SystemID: q.SystemID, PreferVerify: q.Verify,
		AllowVerifyWithoutSystemID: q.Touch, Bound: gitlab.Bound(q.Bound), TLSCAFile: ca, TLSCertFile: q.TLS.Cert, TLSKeyFile: q.TLS.Key})
}

// defaultCA is where gitlab-runner looks when a section names no CA file:
// certs/HOST.crt beside the config.
func defaultCA(q remedy.Question) string {
	u, err := url.Parse(q.URL)
	if err != nil || q.Config == "" {
		return ""
	}
	path := filepath.Join(filepath.Dir(q.Config), "certs", u.Hostname()+".crt")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
