package app

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/host"
	"rekey/internal/host/ssh"
)

// farHosts are the machines whose configs are changed over ssh. A config there is
// named by the host's name and its path, as ssh://runner1/etc/gitlab-runner/config.toml.
// Safe for concurrent use; Close ends all connections.
type farHosts struct {
	now    func() time.Time
	answer time.Duration // how long a connection and each answer may take

	mu    sync.Mutex
	known map[string]*farHost // by name
}

// farHost is one of them: one question is under way at a time.
type farHost struct {
	hosts  *farHosts
	name   string
	target ssh.Target

	mu     sync.Mutex
	conn   *ssh.Host
	end    context.CancelFunc
	failed error     // why there is no connection
	tried  time.Time // when that was found
	locks  map[string]int
	unlock map[string]func() // of the connection that stands
}

func (a *App) farHosts(access Access) *farHosts {
	wait := access.Timeout
	if wait == 0 {
		wait = 30 * time.Second
	}
	return &farHosts{now: a.Now, answer: wait, known: map[string]*farHost{}}
}

// splitFar splits the name of a config on another host.
func splitFar(config string) (name, path string, ok bool) {
	rest, ok := strings.CutPrefix(config, "ssh://")
	if !ok {
		return "", "", false
	}
	at, path, ok := strings.Cut(rest, "/")
	return "ssh://" + at, "/" + path, ok
}

// add makes a host known by its target.
func (f *farHosts) add(t ssh.Target) *farHost {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &farHost{hosts: f, name: t.Name(), target: t, locks: map[string]int{}, unlock: map[string]func(){}}
	if known := f.known[h.name]; known != nil {
		return known
	}
	f.known[h.name] = h
	return h
}

// learn takes from a journal how the hosts of a target are reached.
func (f *farHosts) learn(t rekey.Target) {
	for _, v := range t.Via {
		if target, err := parseVia(v.Host, v.By); err == nil {
			f.add(target)
		}
	}
}

// of returns the host on which a config lies and its path there; nil for one of this
// machine.
func (f *farHosts) of(config string) (*farHost, string) {
	name, path, ok := splitFar(config)
	if !ok || f == nil {
		return nil, ""
	}
	f.mu.Lock()
	h := f.known[name]
	f.mu.Unlock()
	if h == nil {
		target, err := ssh.Parse(name)
		if err != nil {
			return &farHost{hosts: f, name: name, failed: err, tried: f.now().Add(time.Hour)}, path
		}
		h = f.add(target)
	}
	return h, path
}

// Close ends the connections.
func (f *farHosts) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.known {
		h.mu.Lock()
		h.hangUp()
		h.mu.Unlock()
	}
}

// via says how hosts are reached whose names do not tell: by it a later run finds
// them without the flags and the inventory of this one.
func (f *farHosts) via(t rekey.Target) []rekey.Via {
	var found []rekey.Via
	for _, config := range placeConfigs(t) {
		if h, _ := f.of(config); h != nil {
			v := rekey.Via{Host: h.name, By: viaOf(h.target)}
			if v.By != v.Host && !slices.Contains(found, v) {
				found = append(found, v)
			}
		}
	}
	return found
}

func placeConfigs(t rekey.Target) []string {
	configs := []string{t.Config}
	for _, p := range t.Also {
		configs = append(configs, p.Config)
	}
	return configs
}

// viaOf writes a target as ssh://[user@]host[:port][?key=FILE&become=sudo].
func viaOf(t ssh.Target) string {
	query := url.Values{}
	if t.Key != "" {
		query.Set("key", t.Key)
	}
	if t.Become {
		query.Set("become", "sudo")
	}
	t.Alias = ""
	if len(query) == 0 {
		return t.Name()
	}
	return t.Name() + "?" + query.Encode()
}

func parseVia(name, way string) (ssh.Target, error) {
	address, rest, _ := strings.Cut(way, "?")
	query, err := url.ParseQuery(rest)
	if err != nil {
		return ssh.Target{}, err
	}
	t, err := ssh.Parse(address)
	t.Key, t.Become = query.Get("key"), query.Get("become") != ""
	if t.Name() != name {
		t.Alias = strings.TrimPrefix(name, "ssh://")
	}
	return t, err
}

// patience is how long a host that could not be reached is not tried again.
const patience = 5 * time.Second

// with calls do with a connection that stands, holding the locks that were taken
// before.
func (h *farHost) with(do func(c *ssh.Host) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.connect(); err != nil {
		return err
	}
	err := do(h.conn)
	if h.conn.Broken() {
		h.hangUp()
	}
	return err
}

// again is with for what may be done twice: a connection that broke off meanwhile
// is made anew once.
func (h *farHost) again(do func(c *ssh.Host) error) error {
	broken := false
	try := func(c *ssh.Host) error {
		err := do(c)
		broken = c.Broken()
		return err
	}
	err := h.with(try)
	if broken {
		err = h.with(try)
	}
	return err
}

func (h *farHost) connect() error {
	if h.conn != nil {
		return nil
	}
	if h.failed != nil && h.hosts.now().Sub(h.tried) < patience {
		return h.failed
	}
	ctx, end := context.WithCancel(context.Background())
	conn, err := ssh.Dial(ctx, h.target, ssh.Options{Wait: min(h.hosts.answer, 10*time.Second), Answer: h.hosts.answer, Change: true})
	if err == nil {
		err = h.relock(conn)
		if err != nil {
			conn.Close()
		}
	}
	if err != nil {
		end()
		h.failed, h.tried = h.unreached(err), h.hosts.now()
		return h.failed
	}
	h.conn, h.end, h.failed = conn, end, nil
	return nil
}

func (h *farHost) unreached(err error) error {
	return rekey.Errorf(rekey.KindUnavailable, "%s cannot be reached: %w", h.name, err).WithHint("%s", rekey.HintOf(err))
}

// relock takes the locks that the connection before had. What is left of that one
// may still be ending what it began.
func (h *farHost) relock(conn *ssh.Host) error {
	for _, path := range slices.Sorted(maps.Keys(h.locks)) {
		for attempt := 1; ; attempt++ {
			unlock, err := conn.Lock(path)
			if err == nil {
				h.unlock[path] = unlock
				break
			}
			if rekey.KindOf(err) != rekey.KindConflict || attempt == 20 {
				return err
			}
			_ = wallClock{}.Sleep(context.Background(), 100*time.Millisecond)
		}
	}
	return nil
}

func (h *farHost) hangUp() {
	if h.conn == nil {
		return
	}
	h.conn.Close()
	h.end()
	h.conn = nil
	clear(h.unlock)
}

// Read returns a config's bytes; an empty config is one without sections.
func (h *farHost) Read(path string) (data []byte, err error) {
	err = h.again(func(c *ssh.Host) (err error) {
		data, err = c.Read(path)
		if errors.Is(err, host.ErrEmpty) {
			err = nil
		}
		return err
	})
	return data, err
}

// SystemID drops why there is none.
func (h *farHost) SystemID(path string) (id rekey.SystemID) {
	_ = h.again(func(c *ssh.Host) error { id, _ = c.SystemID(path); return nil })
	return id
}

// CheckWritable fails where Replace could not change the file.
func (h *farHost) CheckWritable(path string) error {
	return h.again(func(c *ssh.Host) error { return c.CheckWritable(path) })
}

// Replace is not tried again: whether it was done is looked at by the caller.
func (h *farHost) Replace(path string, expect, next []byte) (how string, err error) {
	err = h.with(func(c *ssh.Host) (err error) { how, err = c.Replace(path, expect, next); return err })
	return how, err
}

// Reload makes a running gitlab-runner load the config.
func (h *farHost) Reload(ctx context.Context, path string, by host.ReloadBy, idle func(context.Context) error) (how string, err error) {
	err = h.with(func(c *ssh.Host) (err error) { how, err = c.Reload(ctx, path, by, idle, h.hosts.now); return err })
	return how, err
}

// ReloadText says in advance how.
func (h *farHost) ReloadText(path string, by host.ReloadBy) (text string) {
	if err := h.again(func(c *ssh.Host) error { text = c.ReloadText(path, by); return nil }); err != nil {
		return "gitlab-runner loads it by its newer mtime"
	}
	return text
}

// Lock keeps every other rekey away from the config's directory. A connection that
// breaks off loses the lock, and the next takes it again.
func (h *farHost) Lock(path string) (func(), error) {
	err := h.again(func(c *ssh.Host) error {
		unlock, err := c.Lock(path)
		if err != nil {
			return err
		}
		if old := h.unlock[path]; old != nil {
			old()
		}
		h.unlock[path] = unlock
		return nil
	})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.locks[path]++
	h.mu.Unlock()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.locks[path]--; h.locks[path] > 0 {
			return
		}
		delete(h.locks, path)
		if unlock := h.unlock[path]; unlock != nil && h.conn != nil {
			unlock()
		}
		delete(h.unlock, path)
	}, nil
}
