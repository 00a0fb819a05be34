package app

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"time"

	"rekey"
	"rekey/internal/agent"
	"rekey/internal/diagnose"
	"rekey/internal/host"
	"rekey/internal/remedy"
	"rekey/internal/resident"
	"rekey/internal/secretstore"
)

// AgentEvent is one line of the agent's log.
type AgentEvent = agent.Event

// AgentInput is what the agent is asked.
type AgentInput struct {
	Access       Access
	Touch        bool // below GitLab 18.7, verify even without a system id
	Configs      []string
	Sections     []string
	Store        string // a pattern
	HostName     string // {host}; "" for this host's own
	Interval     time.Duration
	Listen       string // "" for nowhere
	Reload       string
	PatchManaged bool // deliver also into a config that a tool writes
	State        StateInput
	Report       func(AgentEvent)
	// LookNow has everything looked at when something comes; nil: never.
	LookNow <-chan struct{}
}

// Check refuses what cannot work, before anything is opened.
func (in AgentInput) Check() error {
	if in.Store == "" {
		return rekey.Errorf(rekey.KindInvalid, "the store is missing").WithHint("--store vault://secret/runners/{host}/{name}#token names a secret for each section; `rekey secret --help` lists the stores")
	}
	if in.Interval < time.Second {
		return rekey.Errorf(rekey.KindInvalid, "--interval is at least a second")
	}
	_, err := host.ParseReload(in.Reload)
	return err
}

// Agent keeps in step until ctx ends.
func (a *App) Agent(ctx context.Context, in AgentInput) error {
	k, err := a.keeper(in)
	if err != nil {
		return err
	}
	defer k.close()
	stop, address, err := a.listen(ctx, in.Listen, k.agent)
	if err != nil {
		return err
	}
	defer stop()
	k.started(address)
	k.agent.Run(ctx, in.LookNow, func() { k.notify.ready(k.agent.Summary()) })
	k.notify.stopping()
	return nil
}

// AgentOnce makes one pass. A nil error means that every section is in step.
func (a *App) AgentOnce(ctx context.Context, in AgentInput) error {
	k, err := a.keeper(in)
	if err != nil {
		return err
	}
	defer k.close()
	return k.agent.Once(ctx)
}

// keeper is one agent with what it reaches the world by.
type keeper struct {
	app    *App
	in     AgentInput
	net    *network
	stores *Stores
	agent  *agent.Agent
	notify *notifier
	files  *agentFiles
	paths  []string
}

func (a *App) keeper(in AgentInput) (*keeper, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	pattern, err := secretstore.ParsePattern(in.Store)
	if err != nil {
		return nil, err
	}
	if in.Configs, err = a.configs(in.Configs); err != nil {
		return nil, err
	}
	for i, path := range in.Configs { // journals and memory name it so
		if in.Configs[i], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	n, err := a.network(in.Access)
	if err != nil {
		return nil, err
	}
	state, err := a.stateDir(in.State)
	if err != nil {
		return nil, err
	}
	if in.HostName == "" {
		in.HostName, _ = os.Hostname() // a pattern that needs it says that it is missing
	}
	in.State.Dir = state
	k := &keeper{app: a, in: in, net: n, paths: in.Configs, stores: a.Stores(StoreInput{Access: in.Access, State: in.State}), notify: newNotifier(a)}
	store, err := k.stores.For(anyRef(pattern))
	if err != nil {
		return nil, err
	}
	k.files = &agentFiles{app: a, host: a.machine(), patch: in.PatchManaged, tls: map[string][]diagnose.TLSFiles{}}
	k.agent = agent.New(agent.Options{Configs: in.Configs, Sections: in.Sections, Pattern: pattern, Host: in.HostName, Interval: in.Interval, Now: a.Now},
		agent.Ports{Files: k.files, Store: seen{store, a}, Ask: k.ask, Deliver: k.deliver, Named: k.named, Memory: agentMemory{filepath.Join(state, "agent")},
			Report: in.Report, Alive: k.alive, Rest: resident.Settle})
	return k, nil
}

func (k *keeper) named(config string) bool {
	id, _ := k.files.host.SystemID(config)
	return id != ""
}

// anyRef is a reference to the pattern's store, whatever the section.
func anyRef(p secretstore.Pattern) secretstore.Ref {
	ref, _ := p.For(secretstore.Names{Section: "any", Host: "any"}) // a pattern that was parsed takes both
	ref.Scheme = p.Scheme()
	return ref
}

func (k *keeper) close() {
	_ = k.stores.Close() // nothing is under way any more
	k.notify.close()
}

func (k *keeper) alive() {
	if k.agent != nil {
		k.notify.alive(k.agent.Summary)
	}
}

// started tells what is kept in step.
func (k *keeper) started(address string) {
	text := "keeping in step with " + k.in.Store + ", looking every " + k.in.Interval.String()
	if address != "" {
		text += ", listening on http://" + address
	}
	k.in.Report(agent.Event{Kind: agent.EventStarted, Text: text})
}

// ask is the section's own GitLab's answer.
func (k *keeper) ask(ctx context.Context, s agent.Section, token rekey.Token) rekey.Answer {
	id, _ := k.files.host.SystemID(s.Config)
	ctx, stop := context.WithTimeout(ctx, cmp.Or(k.in.Access.Timeout, 30*time.Second))
	defer stop()
	return k.net.ask(ctx, remedy.Question{Config: s.Config, TLS: k.files.tlsOf(s), URL: s.URL, Token: token, SystemID: id, Touch: k.in.Touch})
}

// seen has the log know the tokens that come out of a store.
type seen struct {
	secretstore.Store
	app *App
}

// Get fits the port.
func (s seen) Get(ctx context.Context, ref secretstore.Ref, version secretstore.Version) (secretstore.Secret, error) {
	secret, err := s.Store.Get(ctx, ref, version)
	s.app.sawNew(secret.Value)
	return secret, err
}
