package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// Source is one place with configs: this machine, another host, a container, a
// pod.
type Source struct {
	// Name is "" for this machine, else as it was given: "ssh://runner1",
	// "docker://gitlab-runner", "k8s://ci/gitlab-runner". It ends without a slash:
	// a config is named by it and the path.
	Name string
	// Open reaches a source that is not at hand, under a context that ends with the
	// reading of it or with the Observer's patience. It returns what is to be read
	// instead, as a rule one source; one without a name has that of the opened. nil:
	// the fields below hold already.
	Open func(ctx context.Context) ([]Source, error)
	// Close is called once when the source was read; nil: nothing to close.
	Close func()

	Host Host
	// Getenv is the environment of the process that reads the configs there; nil:
	// not known, and no reference is expanded.
	Getenv func(name string) (string, bool)
	Paths  []string // of its configs, absolute but for this machine's
	Logs   []Log    // of its own gitlab-runner; their names tell the host
	// ReadFile reads a TLS file that a section names, with os.ErrNotExist in the
	// error where it is not there. Only sources with a name need it: this machine's
	// files are opened by who asks.
	ReadFile func(path string) ([]byte, error)
	Err      error           // why it cannot be read; the rest is then empty
	Notes    []string        // what there is to tell of it beside, for people
	Remarks  func() []string // more of them, asked when all was read; nil: none
}

// atOnce is how many sources are under way at a time.
const atOnce = 16

// named returns a config's name in reports.
func (s Source) named(path string) string {
	switch {
	case s.Name == "":
		return path
	case strings.HasPrefix(path, "/"):
		return s.Name + path
	}
	return s.Name + "/" + path
}

// view is what was seen of one source.
type view struct {
	host     diagnose.Host
	configs  []diagnose.Config
	material map[sectionKey]material
	running  []diagnose.Process
	logs     []diagnose.LogLine
	notes    []string
}

// look reads the sources, several at once, and keeps their order. One that hangs
// costs its own time only.
func (o *Observer) look(ctx context.Context, sources []Source) [][]view {
	views := make([][]view, len(sources))
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, s := range sources {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			views[i] = o.source(ctx, s)
		})
	}
	wait.Wait()
	return views
}

// source opens a source where it must, and reads it.
func (o *Observer) source(ctx context.Context, s Source) []view {
	if s.Open == nil {
		return []view{s.view(ctx)}
	}
	patience := o.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	ctx, stop := context.WithTimeoutCause(ctx, patience, rekey.Errorf(rekey.KindUnavailable, "it was not read within %s", patience))
	defer stop()
	opened, err := s.Open(ctx)
	if err != nil {
		opened = append(opened, Source{Err: unopened(ctx, err)})
	}
	var views []view
	for i, part := range opened {
		if part.Name == "" {
			part.Name = s.Name
		}
		if i == 0 {
			part.Notes = append(slices.Clone(s.Notes), part.Notes...)
		}
		views = append(views, part.view(ctx))
	}
	return views
}

// unopened prefers the reason why there was no time left to what that led to.
func unopened(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == context.Canceled:
		return rekey.Errorf(rekey.KindUnavailable, "it was not read: interrupted")
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

func (s Source) view(ctx context.Context) (v view) {
	if s.Close != nil {
		defer s.Close()
	}
	v = view{host: diagnose.Host{Name: s.Name}, notes: slices.Clone(s.Notes)}
	defer func() {
		if s.Remarks != nil {
			v.notes = append(v.notes, s.Remarks()...)
		}
	}()
	if s.Err != nil {
		v.configs = []diagnose.Config{{Path: s.Name, Host: s.Name, Err: readProblem(s.Name, s.Name, s.Err)}}
		return v
	}
	for _, path := range s.Paths {
		c := s.config(path)
		v.configs = append(v.configs, c)
		if s.Name != "" {
			v.material = s.withMaterial(v.material, path, c)
		}
	}
	v.running, v.host.ProcessesProblem = s.Host.Processes(s.Paths)
	for i := range v.running {
		s.place(&v.running[i])
	}
	lines, notes := readLogs(ctx, s.Logs)
	v.logs, v.notes = lines, append(v.notes, notes...)
	for i := range v.logs {
		v.logs[i].Host = s.Name
	}
	return v
}

// place says of which host a process is.
func (s Source) place(p *diagnose.Process) {
	p.Host = s.Name
	if s.Name == "" {
		return
	}
	p.Name += " of " + s.Name
	for i, path := range p.Uses {
		p.Uses[i] = s.named(path)
	}
}

// gather puts the views together. A file that two names lead to is taken once:
// else its sections would seem to share their tokens.
func (o *Observer) gather(facts *diagnose.Facts, all [][]view) {
	o.material = map[sectionKey]material{}
	seen := map[string]diagnose.Config{}
	for _, views := range all {
		for _, v := range views {
			for _, c := range v.configs {
				first, again := seen[c.File.Identity]
				if again && c.File.Identity != "" && (first.Host != c.Host || first.Path == c.Path) {
					facts.LogNotes = append(facts.LogNotes, fmt.Sprintf("%s is the same file as %s: it is told once", c.Path, first.Path))
					continue
				}
				seen[c.File.Identity] = c
				facts.Configs = append(facts.Configs, c)
			}
			for key, m := range v.material {
				o.material[key] = m
			}
			facts.Hosts = append(facts.Hosts, v.host)
			if v.host.Name == "" {
				facts.ProcessesProblem = v.host.ProcessesProblem
			}
			facts.Processes = append(facts.Processes, v.running...)
			facts.Logs, facts.LogNotes = append(facts.Logs, v.logs...), append(facts.LogNotes, v.notes...)
		}
	}
}
