package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rekey"
	fleets "rekey/internal/fleet" // package app has a type fleet
	"rekey/internal/gitlab"
	"rekey/internal/remedy"
)

// RotateInput is what rotate is asked.
type RotateInput struct {
	Access       Access
	Configs      []string
	Hosts        []string // releases in clusters, k8s://NAMESPACE/RELEASE, instead of this machine
	Inventory    string   // an Ansible inventory of further hosts, "" for none
	Limit        string   // which of its hosts; "" for all
	Become       bool     // act as root on hosts that ssh reaches, by sudo without a password
	PatchManaged bool     // a Secret that a tool keeps is changed all the same
	RolloutWait  time.Duration
	Runners      []string // ids, section names or fingerprints
	Due          bool
	Strategy     string // overlap, in-place, or "" for what is safe
	MaxAge       time.Duration
	DrainTimeout time.Duration
	Store        string // the secret that new tokens are put into first, a pattern; "" for none
	ByAgent      bool   // hosts that are not given follow Store by their agents: those deliver
	Owners       string // the owners file; "" for runners.owners.yaml here
	Proof        ProofInput
	State        StateInput
	DryRun       bool
	Progress     func(done, total int)
	Report       func(Event)
	// WaitOn is asked, one question at a time, whether to wait longer for the jobs
	// of a record; nil is no.
	WaitOn func(runner rekey.RunnerID, name string, waited time.Duration) bool
}

// afar reports whether no config is reached from here.
func (in RotateInput) afar() bool { return in.ByAgent && len(in.Configs) == 0 }

// Rotation is one rotation under way: a Fix with another plan.
type Rotation struct {
	*Fix
	in   RotateInput
	done []rekey.RunnerID
}

// Skip leaves the records of these results out of the plan: they were rotated a
// moment ago, by a resumption. So were those that the interrupted run had finished.
func (r *Rotation) Skip(results []rekey.Result) error {
	finished, err := r.engine.FinishedBeside(results)
	if err != nil {
		return err
	}
	r.done = append(r.done, finished...)
	for _, t := range r.resumed {
		r.done = append(r.done, t.RunnerID) // a new record may have taken its place
	}
	for _, res := range results {
		if res.RunnerID != 0 {
			r.done = append(r.done, res.RunnerID)
		}
	}
	return nil
}

// strategies are the words for a way to rotate.
var strategies = map[string]rekey.Remedy{"": "", "overlap": rekey.RemedyOverlap, "in-place": rekey.RemedyReset}

// Rotate opens the state directory as Fix does. The caller closes the Rotation.
func (a *App) Rotate(ctx context.Context, in RotateInput) (*Rotation, error) {
	if in.MaxAge < 0 || in.DrainTimeout < 0 {
		return nil, rekey.Errorf(rekey.KindInvalid, "--max-age and --drain-timeout cannot be negative")
	}
	if in.ByAgent && in.Store == "" {
		return nil, rekey.Errorf(rekey.KindInvalid, "--deliver-by-agent needs the store that the agents follow").WithHint("add --store, with the reference that `rekey agent` was given")
	}
	if in.afar() && (in.Due || len(in.Runners) == 0 || len(in.Hosts) > 0 || in.Inventory != "") {
		return nil, rekey.Errorf(rekey.KindInvalid, "--deliver-by-agent without --config rotates records by their id, on hosts that are not reached from here").
			WithHint("name them: `rekey rotate 42 --store REF --deliver-by-agent`; `rekey runner list` shows the ids")
	}
	if len(in.Configs) > 0 && slices.ContainsFunc(in.Hosts, func(h string) bool { return strings.HasPrefix(h, "k8s://") }) {
		return nil, rekey.Errorf(rekey.KindInvalid, "--host k8s:// and --config exclude each other").WithHint("rotate this machine's runners and those of a cluster one after the other")
	}
	f, err := a.Fix(ctx, FixInput{DoctorInput: DoctorInput{Access: in.Access, Configs: in.Configs, Hosts: Hosts{Addresses: in.Hosts, Inventory: in.Inventory, Limit: in.Limit}}, Become: in.Become, allHosts: true, RolloutWait: max(in.RolloutWait, time.Nanosecond),
		Proof: in.Proof, State: in.State, DryRun: in.DryRun, Report: in.Report, Store: in.Store, afar: in.afar()})
	if err != nil {
		return nil, err
	}
	if !f.stateless {
		f.engine.Options.MaxAge = in.MaxAge
		f.engine.Options.DrainTimeout = max(in.DrainTimeout, time.Nanosecond)
		f.engine.WaitOn = oneAtATime(in.WaitOn)
	}
	return &Rotation{Fix: f, in: in}, nil
}

func oneAtATime(ask func(rekey.RunnerID, string, time.Duration) bool) func(rekey.Target, time.Duration) bool {
	if ask == nil {
		return nil
	}
	var mu sync.Mutex
	return func(t rekey.Target, waited time.Duration) bool {
		mu.Lock()
		defer mu.Unlock()
		return ask(t.RunnerID, t.Name, waited)
	}
}

// Plan reads the configs, and asks GitLab about the records to rotate alone.
func (r *Rotation) Plan(ctx context.Context) (rekey.Plan, error) {
	plan, err := r.plan(ctx)
	if err == nil && !r.in.afar() {
		err = r.stores.deposit(ctx, &plan, r.owner)
	}
	return plan, err
}

func (r *Rotation) plan(ctx context.Context) (rekey.Plan, error) {
	paths, err := r.configs()
	if err != nil {
		return rekey.Plan{}, err
	}
	open, err := r.Unfinished()
	if err != nil {
		return rekey.Plan{}, err
	}
	rotatedAt, err := r.rotatedAt()
	if err != nil {
		return rekey.Plan{}, err
	}
	user := r.userOnce(ctx)
	planner := func() *remedy.RotationPlanner {
		return &remedy.RotationPlanner{
			Flags: remedy.RotationFlags{Runners: r.in.Runners, Due: r.in.Due, Strategy: strategies[r.in.Strategy], MaxAge: r.in.MaxAge, Skip: r.done,
				Stored: r.in.Store != "", Agents: r.in.ByAgent, Self: r.app.self(), SelfURL: r.app.env("CI_SERVER_URL")},
			Host: r.host, Probe: r.host.far.asking(r.net.ask), GitLab: r.net.records, Now: r.app.Now, SameGitLab: gitlab.SameGitLab, Generated: r.generated,
			Rights:    func(base string) ([]string, bool) { u := user(base); return u.Scopes, u.Scopes != nil },
			Admin:     func(base string) bool { return user(base).Admin },
			RotatedAt: rotatedAt, Headroom: r.headroom(user), Open: open, Progress: r.in.Progress,
		}
	}
	if !r.Fix.in.Hosts.none() {
		return r.planHosts(ctx, planner)
	}
	if r.in.afar() {
		return planner().PlanAfar(ctx, r.net.base, r.in.Runners, r.stores.look(r.owner))
	}
	here := planner()
	here.Neighbours = r.neighbours
	plan, err := here.Plan(ctx, paths)
	if err != nil && ctx.Err() != nil {
		err = rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", err)
	}
	r.nameReload(ctx, &plan)
	r.nameSources(&plan)
	r.nameVia(&plan)
	return plan, err
}

// neighbours are the configs of other gitlab-runners that run on this machine.
func (r *Rotation) neighbours(paths []string) []remedy.Neighbour {
	var found []remedy.Neighbour
	here := slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return strings.Contains(path, "://") })
	for _, n := range r.host.Neighbours(here) {
		if len(here) == 0 {
			break
		}
		found = append(found, remedy.Neighbour{Name: fmt.Sprintf("%s, on which %s runs,", n.Process.Config, n.Process), Data: n.Data})
	}
	return append(found, r.host.far.neighbours(paths)...)
}

// self is the runner whose job this process is, 0 outside a job.
func (a *App) self() rekey.RunnerID {
	id, _ := strconv.ParseInt(a.env("CI_RUNNER_ID"), 10, 64)
	return rekey.RunnerID(id)
}

// userOnce is user, asked when it is first needed: nothing is asked while nothing
// is due.
func (r *Rotation) userOnce(ctx context.Context) func(base string) gitlab.User {
	ask := sync.OnceValue(func() func(base string) gitlab.User { return r.user(ctx) })
	return func(base string) gitlab.User { return ask()(base) }
}

// headroom asks once for each group or project; only an administrator may read
// the limits.
func (r *Rotation) headroom(user func(string) gitlab.User) func(context.Context, string, rekey.Scope, rekey.Ref) (int, bool) {
	type room struct {
		free  int
		known bool
	}
	var mu sync.Mutex
	asked := map[rekey.Ref]room{}
	return func(ctx context.Context, base string, scope rekey.Scope, owner rekey.Ref) (int, bool) {
		client := r.net.clientFor(base)
		if client == nil || !user(base).Admin {
			return 0, false
		}
		mu.Lock()
		defer mu.Unlock()
		if known, found := asked[owner]; found {
			return known.free, known.known
		}
		free, known, err := client.Headroom(ctx, scope, owner.ID, r.app.Now())
		asked[owner] = room{free, known && err == nil}
		return free, known && err == nil
	}
}

// rotatedAt reads the owners file, where there is one.
func (r *Rotation) rotatedAt() (func(base string, id rekey.RunnerID) time.Time, error) {
	none := func(string, rekey.RunnerID) time.Time { return time.Time{} }
	if r.net.client == nil {
		return none, nil
	}
	ledger, err := ownersPath(r.in.Owners).read(r.net.base)
	if err != nil || ledger == nil {
		return none, err
	}
	return func(base string, id rekey.RunnerID) time.Time { return r.entry(ledger, base, id).RotatedAt }, nil
}

// owner is who the owners file says owns a record, "" for nobody. What is wrong with
// that file was told when its dates were read.
func (r *Rotation) owner(t rekey.Target) string {
	if r.net.client == nil {
		return ""
	}
	ledger, err := ownersPath(r.in.Owners).read(r.net.base)
	if err != nil || ledger == nil {
		return ""
	}
	return r.entry(ledger, t.GitLab, t.RunnerID).Owner
}

func (r *Rotation) entry(ledger *fleets.Ledger, base string, id rekey.RunnerID) fleets.Entry {
	if !gitlab.SameGitLab(r.net.base, base) {
		return fleets.Entry{}
	}
	e, _ := ledger.Entry(id)
	return e
}
