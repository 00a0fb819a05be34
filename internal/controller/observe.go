// Package controller observes, diagnoses and plans: it owns the order in which
// facts are collected from hosts and GitLabs, and how many questions are under
// way at once. It refuses to judge (package diagnose) and to act (package
// remedy), and reaches the world only through the ports it is given.
package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/diagnose"
	"rekey/internal/remedy"
)

// Host reads what lies on a runner host.
type Host interface {
	// Read returns a config's bytes, or an error a person can act on.
	Read(path string) ([]byte, error)
	// SystemID returns the system id beside the config, or why there is none.
	SystemID(path string) (id rekey.SystemID, problem string)
	// File returns what there is to say of the file itself, as far as it could be
	// seen.
	File(path string) diagnose.File
	// Processes returns the runners of the machine and which of paths each uses,
	// or why there may be more.
	Processes(paths []string) (found []diagnose.Process, problem string)
}

// Fleet is what a user token may read of one GitLab.
type Fleet interface {
	// Version returns the text as the server gives it.
	Version(ctx context.Context) (string, rekey.Version, error)
	// WhoAmI returns a name and the token's scopes; scopes are nil where GitLab
	// does not tell.
	WhoAmI(ctx context.Context) (name string, admin bool, scopes []string, err error)
	// RegistrationAllowed reads the instance setting; administrators only.
	RegistrationAllowed(ctx context.Context) (bool, error)
	// Maintenance reads the setting maintenance_mode; administrators only.
	Maintenance(ctx context.Context) (bool, error)
	Runner(ctx context.Context, id rekey.RunnerID) (rekey.Runner, error)
	Managers(ctx context.Context, id rekey.RunnerID) (managers []rekey.Manager, known bool, err error)
}

// Observer collects facts. Its fields are set before use and not changed; it may
// be used by one goroutine at a time.
type Observer struct {
	Ask remedy.Probe
	// Fleet returns nil where no user token is for the GitLab at base. Its waits for
	// that GitLab are to be under bound, its waits for our own pace are not.
	Fleet func(base string, bound remedy.Bound) Fleet
	// BaseURL returns what stands before /api/v4/, or why there is none.
	BaseURL func(url string) (string, error)
	// Registration asks, without any credential, whether the server takes
	// registration tokens; nil means unknown.
	Registration func(ctx context.Context, base string) (*bool, rekey.Evidence)
	Now          func() time.Time
	// Workers is how many sections are asked about at once; 0: 128.
	Workers int
	// Patience is how long one GitLab may go without a usable answer, and how long
	// the reading of one source may take that has to be opened; 0: 30 s.
	Patience time.Duration
	NoTouch  bool  // send no request that carries a runner token
	Touch    bool  // permit a verify without a system id
	Logs     []Log // that may be of any of the sources
	// Wait sleeps before a fresh token is asked about again; nil: a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Clock returns the last Date that any answer of the GitLab at base had, and
	// when it came; nil: unknown.
	Clock func(base string) (server, read time.Time)
	// AskRegistration has every GitLab asked whether it takes registration tokens,
	// not only those whose sections hold one.
	AskRegistration bool
	// Begin is called before the first section is asked about, with how many
	// sections there are and how many requests are foreseen for each GitLab.
	Begin func(sections int, requests map[string]int)
	// Progress is called after each section, from several goroutines.
	Progress func(done, total int)

	material map[sectionKey]material // of the sections of other hosts
}

// Observe reads the configs of the sources, several sources at once, and asks
// about each of their sections. A source that cannot be read is a config with an
// error. When ctx ends first, what was not read or asked is a fact too.
func (o *Observer) Observe(ctx context.Context, sources []Source, expect diagnose.Expectation) diagnose.Facts {
	facts := diagnose.Facts{Now: o.Now(), Expect: expect}
	o.gather(&facts, o.look(ctx, sources))
	lines, notes := readLogs(ctx, o.Logs)
	for i := range lines {
		lines[i].Anywhere = true
	}
	facts.Logs, facts.LogNotes = append(facts.Logs, lines...), append(facts.LogNotes, notes...)
	servers := o.servers(ctx, &facts)
	o.ask(ctx, &facts, servers)
	o.wholes(&facts, servers)
	for _, base := range slices.Sorted(maps.Keys(servers)) {
		facts.Servers = append(facts.Servers, servers[base].finish(o.Clock))
	}
	facts.Interrupted = ctx.Err() != nil
	facts.Now = o.Now()
	return facts
}

// rewrittenWithin is how long a file that does not parse, or has no section, is
// given to change: gitlab-runner truncates its config and writes.
const rewrittenWithin = 200 * time.Millisecond

// read returns what the config holds; parsed tells whose error err is.
func (s Source) read(path string) (doc *configtoml.Document, parsed bool, err error) {
	var last []byte
	for attempt := 1; ; attempt++ {
		data, err := s.Host.Read(path)
		if err != nil {
			return nil, false, err
		}
		doc, err := configtoml.Parse(data)
		whole := err == nil && len(doc.Sections()) > 0
		if whole || attempt == 5 || attempt > 1 && bytes.Equal(last, data) {
			return doc, true, err
		}
		last = data
		time.Sleep(rewrittenWithin)
	}
}

// config reads one config of a source.
func (s Source) config(path string) diagnose.Config {
	c := diagnose.Config{Path: s.named(path), Host: s.Name}
	doc, parsed, err := s.read(path)
	if err != nil && !parsed {
		c.Err = readProblem(c.Path, path, err)
		return c
	}
	c.File = s.Host.File(path)
	if err != nil {
		c.Err = parseProblem(c.Path, err)
		return c
	}
	id, problem := s.Host.SystemID(path)
	for _, found := range doc.Sections() {
		d := section(c.Path, found, id, problem)
		d.LegacyField = c.File.LegacyField
		if c.File.Synthetic {
			d.Line = 0
		}
		expand(&d, s.Getenv)
		c.Sections = append(c.Sections, d)
	}
	return c
}

// readProblem names the config once: err may begin with its path.
func readProblem(name, path string, err error) string {
	said := strings.TrimLeft(strings.TrimPrefix(err.Error(), path), ": ")
	text := fmt.Sprintf("%s: %s", name, said)
	if hint := rekey.HintOf(err); hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

func parseProblem(path string, err error) string {
	var syntax *configtoml.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s:%d: column %d: %s", path, syntax.Line, syntax.Column, syntax.Reason)
	}
	return fmt.Sprintf("%s:1: %v", path, err)
}

func section(path string, s configtoml.Section, id rekey.SystemID, problem string) diagnose.Section {
	d := diagnose.Section{Config: path, Index: s.Index, Line: s.TokenLine, Name: s.Name, URL: s.URL, RunnerID: s.ID,
		Token: s.Token, ObtainedAt: s.ObtainedAt, ExpiresAt: s.ExpiresAt, Executor: s.Executor,
		RotationOff: s.FeatureFlags["FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"],
		TLS:         diagnose.TLSFiles{CA: s.TLSCAFile, Cert: s.TLSCertFile, Key: s.TLSKeyFile},
		SystemID:    id, SystemIDProblem: problem, Answer: rekey.Answer{Kind: rekey.AnswerNotAsked}, Record: diagnose.Record{Lookup: diagnose.LookupNone}}
	if d.Line == 0 {
		d.Line = s.Line
	}
	return d
}

// expand looks the references up in the environment given; gitlab-runner's may
// differ, so what follows from it is never more than a hint. Without one nothing
// is expanded: an environment of another machine says nothing.
func expand(d *diagnose.Section, getenv func(string) (string, bool)) {
	names := append(rekey.References(d.Token.Reveal()), rekey.References(d.URL)...)
	if len(names) == 0 {
		return
	}
	for _, name := range names {
		if getenv == nil {
			d.Unset = append(d.Unset, name)
		} else if v, ok := getenv(name); !ok || v == "" {
			d.Unset = append(d.Unset, name)
		}
	}
	if len(d.Unset) > 0 {
		return
	}
	value := func(name string) string { v, _ := getenv(name); return v }
	token := rekey.NewToken(os.Expand(d.Token.Reveal(), value))
	d.Expanded, d.ExpandedURL = &token, os.Expand(d.URL, value)
}

// ask puts one question per section, several at once.
func (o *Observer) ask(ctx context.Context, facts *diagnose.Facts, servers map[string]*server) {
	var all []*diagnose.Section
	for i := range facts.Configs {
		for j := range facts.Configs[i].Sections {
			all = append(all, &facts.Configs[i].Sections[j])
		}
	}
	if o.Begin != nil {
		o.Begin(len(all), o.foreseen(all, servers))
	}
	queue := make(chan *diagnose.Section)
	var wait sync.WaitGroup
	var done counter
	for range max(1, min(o.workers(), len(all))) {
		wait.Go(func() {
			for s := range queue {
				o.askOne(ctx, s, servers)
				if n := done.next(); o.Progress != nil {
					o.Progress(n, len(all))
				}
			}
		})
	}
	for _, s := range all {
		queue <- s
	}
	close(queue)
	wait.Wait()
}

// foreseen is how many requests each GitLab will be asked: one about a token, two
// about a record.
func (o *Observer) foreseen(all []*diagnose.Section, servers map[string]*server) map[string]int {
	requests := map[string]int{}
	for _, s := range all {
		url, token := destination(s)
		base, err := o.BaseURL(url)
		if err != nil {
			continue
		}
		if token.Lexical().Sendable && !o.NoTouch {
			requests[base]++
		}
		if servers[base].fleet != nil && s.RunnerID != 0 {
			requests[base] += 2
		}
	}
	return requests
}

func (o *Observer) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return 128
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// destination is where the question about a section goes, and which token it carries.
func destination(s *diagnose.Section) (url string, token rekey.Token) {
	if s.Expanded != nil {
		return s.ExpandedURL, *s.Expanded
	}
	return s.URL, s.Token
}

func (o *Observer) askOne(ctx context.Context, s *diagnose.Section, servers map[string]*server) {
	url, token := destination(s)
	base, err := o.BaseURL(url)
	if err != nil {
		if len(s.Unset) == 0 {
			s.Answer = rekey.Answer{Kind: rekey.AnswerBadURL, Message: err.Error(), At: o.Now()}
		}
		return
	}
	srv := servers[base]
	s.Answer = o.answer(ctx, srv, s, url, token)
	o.record(srv, s)
}

func (o *Observer) answer(ctx context.Context, srv *server, s *diagnose.Section, url string, token rekey.Token) rekey.Answer {
	notAsked := func(why string) rekey.Answer {
		return rekey.Answer{Kind: rekey.AnswerNotAsked, Message: why, At: o.Now()}
	}
	switch {
	case len(s.Unset) > 0:
		return notAsked("the token refers to a variable that is not set here")
	case !token.Lexical().Sendable:
		return notAsked("no GitLab could have issued this value as a runner token")
	case s.Registers():
		return notAsked("it is a registration token by the field that it stands in")
	case o.NoTouch:
		return notAsked("--no-touch: no request carries a runner token")
	}
	m := o.material[sectionKey{s.Config, s.Index}]
	if m.problem != "" {
		return rekey.Answer{Kind: rekey.AnswerUnreachable, Message: m.problem, At: o.Now()}
	}
	ask := func() rekey.Answer {
		return o.Ask(srv.ctx, remedy.Question{Config: s.Config, TLS: s.TLS, Remote: m.remote, URL: url, Token: token, SystemID: s.SystemID, Touch: o.Touch, Bound: srv.patient})
	}
	a := srv.ended(ctx, ask())
	srv.heard(a)
	if again, ok := o.again(srv.ctx, srv, s, a, ask); ok {
		s.Earlier, a = a, again
		srv.heard(a)
	}
	return a
}
