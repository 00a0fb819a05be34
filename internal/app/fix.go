package app

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/guard"
	"rekey/internal/host"
	"rekey/internal/remedy"
)

// Event is one line of what a fix tells while it works.
type Event = remedy.Event

// Undone is what was put back.
type Undone = remedy.Undone

// Aborted is how open repairs were given up.
type Aborted = remedy.Aborted

// ProofInput says how a repair comes into force, and how it is proved. Wait 0 looks for the manager once,
// Recheck 0 does not read the config again.
type ProofInput struct {
	Reload                       string // auto, sighup, touch, systemd, restart or none; "" is auto
	Level                        string // "" for as far as can be had, else verify, online or job
	Canaries                     []string
	CanaryTimeout, Wait, Recheck time.Duration
}

// Check refuses a proof that cannot be had.
func (in ProofInput) Check() error {
	if _, err := host.ParseReload(in.Reload); err != nil || in.Level == "" {
		return err
	}
	level, err := rekey.ParseProof(in.Level)
	if err == nil && level == rekey.ProofJob && len(in.Canaries) == 0 {
		err = rekey.Errorf(rekey.KindInvalid, "a proof by a job needs a project to run it in").
			WithHint("add --canary-project GROUP/PROJECT; `rekey canary init` prepares one")
	}
	return err
}

// Short reports whether a repair fell short of the proof that was asked for.
func (in ProofInput) Short(p rekey.Proof) bool {
	want, err := rekey.ParseProof(in.Level)
	return err == nil && !p.Level.AtLeast(want)
}

func (in ProofInput) options() remedy.Options {
	level, _ := rekey.ParseProof(in.Level)                                           // Check has refused what is none
	atOnce := func(d time.Duration) time.Duration { return max(d, time.Nanosecond) } // remedy takes 0 for its own default
	return remedy.Options{Canaries: in.Canaries, CanaryTimeout: in.CanaryTimeout, ProofWait: atOnce(in.Wait), Settling: atOnce(in.Recheck), Proof: level}
}

// RecordInput describes records to be made, where the old ones cannot be read.
type RecordInput struct {
	Scope          rekey.Scope
	Group, Project string
	Tags           []string
	RunUntagged    *bool
	Locked         *bool
	AccessLevel    string
	Description    string
}

// FixInput is what fix is asked.
type FixInput struct {
	DoctorInput
	Record         RecordInput
	Proof          ProofInput
	State          StateInput
	Sections       []string
	TokenFile      string // "-" is Stdin
	SeparateRecord bool
	PatchManaged   bool          // with Hosts: a Secret that a tool keeps is changed all the same
	RolloutWait    time.Duration // with Hosts: how long new pods are waited for
	Become         bool          // with Hosts: act as root there, by sudo without a password
	allHosts       bool          // a host that cannot be reached ends it
	DryRun, Undo   bool
	// Leftover is "resume" or "abort" where the fix is only about what an earlier
	// run left open.
	Leftover string
	// FromDiff is the file of a comparison with a snapshot: its sections alone are
	// repaired, in stages, and no further stage is begun once AbortAfter of them
	// have failed or lost the answer to their reset (0: never). KeyFile is as in SnapshotInput.
	FromDiff   string
	AbortAfter int
	KeyFile    string
	Store      string // the secret that new tokens are put into first, a pattern; "" for none
	Stdin      io.Reader
	Report     func(Event)
	afar       bool // no config is reached from here
}

// Fix is one repair under way: it holds the lock of the state directory.
type Fix struct {
	app    *App
	in     FixInput
	net    *network
	engine *remedy.Engine
	host   repairedHost
	given  rekey.Token
	unlock func()
	// closers end the connections to daemons of containers.
	closers []func()
	// unreached are the hosts that could not be reached.
	unreached []rekey.Left
	diff      *guard.Diff // nil but for FromDiff
	stores    storeStep
	resumed   []rekey.Target // what Resume went on with
	// stateless is a dry run where no state directory exists: there is no engine.
	stateless bool
}

// Fix opens the state directory and takes its lock. A directory that is not there
// yet is made only for a repair that has a config to write to. The caller closes
// the Fix.
func (a *App) Fix(ctx context.Context, in FixInput) (*Fix, error) {
	if err := in.Proof.Check(); err != nil {
		return nil, err
	}
	for _, address := range in.Hosts.Addresses {
		if err := reached(address); err != nil {
			return nil, err
		}
	}
	n, err := a.network(in.Access)
	if err != nil {
		return nil, err
	}
	given, err := a.givenToken(in.TokenFile, in.Stdin)
	if err != nil {
		return nil, err
	}
	f := &Fix{app: a, in: in, net: n, host: a.repairedHost(n, in.Proof, a.farHosts(in.Access)), given: given, unlock: func() {}}
	f.closers = append(f.closers, f.host.far.Close)
	if err := f.readDiff(); err != nil {
		return nil, err
	}
	if f.stores, err = a.storeStep(in); err != nil {
		return nil, err
	}
	f.stores.ask, f.stores.given = f.asksAbout, given
	if err := f.reachFar(ctx, in.allHosts); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.contain(ctx); err != nil {
		f.Close()
		return nil, err
	}
	if in.NoTouch && !given.IsZero() {
		return nil, rekey.Errorf(rekey.KindInvalid, "a token that is given is shown to its GitLab before it is delivered: --token-file and --no-touch exclude each other").
			WithHint("leave --no-touch away")
	}
	if err := f.checkFirst(); err != nil || f.stateless {
		return f, err
	}
	f.engine, f.unlock, err = a.engine(n, in.State, in.Proof, in.Report)
	if err != nil {
		return nil, err
	}
	f.engine.Options.RolloutWait, f.engine.Host, f.engine.Opened = in.RolloutWait, f.host, f.host.learn
	f.engine.Given, f.engine.Probe, f.engine.Options.NoTouch = given, f.probe(), in.NoTouch
	f.engine.Secrets = f.stores.secret
	return f, nil
}

// asksAbout asks the target's GitLab about a token that is not the section's.
func (f *Fix) asksAbout(ctx context.Context, t rekey.Target, token rekey.Token) rekey.Answer {
	q := remedy.Question{Config: t.Config, URL: t.URL, Token: token}
	if t.Host == "" {
		q.SystemID = f.host.SystemID(t.Config)
	}
	return f.probe()(ctx, q)
}

// probe asks nothing where no request may carry a runner token.
func (f *Fix) probe() remedy.Probe {
	if !f.in.NoTouch {
		return f.host.far.asking(f.net.ask)
	}
	return func(context.Context, remedy.Question) rekey.Answer {
		return rekey.Answer{Kind: rekey.AnswerNotAsked, Message: "--no-touch: no request may carry a runner token", At: f.app.Now()}
	}
}

// checkFirst looks at what can be known before anything is written: without a
// state directory there is nothing to resume and nothing to undo.
func (f *Fix) checkFirst() error {
	dir, err := f.app.stateDir(f.in.State)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if f.in.Leftover != "" {
		return rekey.Errorf(rekey.KindNotFound, "there is nothing to %s: no repair has been journalled in %s", f.in.Leftover, dir).
			WithHint("journals of another user or place: name their directory with --state-dir")
	}
	if f.in.Undo {
		return rekey.Errorf(rekey.KindNotFound, "there is nothing to undo: no repair has been journalled in %s", dir).
			WithHint("journals of another user or place: name their directory with --state-dir")
	}
	f.stateless = f.in.DryRun
	_, err = f.configs()
	return err
}

// Close gives the lock back.
func (f *Fix) Close() {
	f.unlock()
	f.stores.close()
	for _, c := range f.closers {
		c()
	}
}

// engine builds the remedy engine on this host and network, holding the lock of
// the state directory.
func (a *App) engine(n *network, state StateInput, proof ProofInput, report func(Event)) (*remedy.Engine, func(), error) {
	dir, err := a.stateDir(state)
	if err != nil {
		return nil, nil, err
	}
	store, err := remedy.OpenStore(dir, wallClock{})
	if err != nil {
		return nil, nil, err
	}
	unlock, err := store.Lock()
	if err != nil {
		return nil, nil, err
	}
	e := &remedy.Engine{
		Store: store, Host: a.repairedHost(n, proof, nil), Clock: wallClock{}, Probe: n.ask, Report: report,
		ParseIssued: gitlab.ParseIssued, OutcomeUnknown: gitlab.OutcomeUnknown, GitLab: n.records,
		Options: proof.options(), Workloads: a.workload,
	}
	if state.Keep > 0 {
		if _, err := e.Prune(state.Keep); err != nil {
			unlock()
			return nil, nil, err
		}
	}
	return e, unlock, nil
}

func (n *network) records(base string) remedy.GitLab {
	if c := n.clientFor(base); c != nil {
		return records{c}
	}
	return nil
}

// givenToken reads the token that a colleague made: one line.
func (a *App) givenToken(file string, stdin io.Reader) (rekey.Token, error) {
	if file == "" {
		return rekey.Token{}, nil
	}
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(io.LimitReader(stdin, 1<<16))
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return rekey.Token{}, rekey.Errorf(rekey.KindInvalid, "the token's file cannot be read: %w", err).
			WithHint("name a file that holds the glrt- token alone, or give it on standard input with --token-file -")
	}
	token := rekey.NewToken(strings.TrimSpace(string(data)))
	a.scrub.Add(token)
	if file == "-" {
		file = "standard input"
	}
	lex := token.Lexical()
	if !lex.Sendable {
		return token, rekey.Errorf(rekey.KindInvalid, "what %s holds is no runner authentication token: %s", file, problems(lex)).
			WithHint("it should be one line that begins with glrt-, as the New runner page shows it once")
	}
	return token, nil
}

func problems(lex rekey.Lexical) string {
	var texts []string
	for _, p := range lex.Problems {
		texts = append(texts, p.Text)
	}
	if len(texts) == 0 {
		return string(lex.Kind)
	}
	return strings.Join(texts, "; ")
}

// Unfinished returns the targets that an earlier fix left open.
func (f *Fix) Unfinished() ([]rekey.Target, error) {
	if f.stateless {
		return nil, nil
	}
	return f.engine.Unfinished()
}

// Resume finishes them.
func (f *Fix) Resume(ctx context.Context) (results []rekey.Result, err error) {
	if f.resumed, err = f.Unfinished(); err != nil {
		return nil, err
	}
	return f.engine.Resume(ctx)
}

// ResumeOpen finishes them too; that nothing is open is an error then.
func (f *Fix) ResumeOpen(ctx context.Context) ([]rekey.Result, error) {
	return f.engine.ResumeOpen(ctx)
}

// Abort gives them up.
func (f *Fix) Abort(ctx context.Context) (Aborted, error) { return f.engine.Abort(ctx) }

// Apply carries out a plan.
func (f *Fix) Apply(ctx context.Context, plan rekey.Plan) ([]rekey.Result, error) {
	if f.diff != nil {
		return f.staged(ctx, plan)
	}
	return f.engine.Apply(ctx, plan)
}

// Undo puts configs back; run is "" for the last.
func (f *Fix) Undo(ctx context.Context, run string) ([]Undone, error) {
	return f.engine.Undo(ctx, run)
}
