package ssh

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
	"rekey/internal/host"
)

// Host is another machine while a connection to it stands, for one goroutine at a
// time. Paths are absolute on that machine.
type Host struct {
	target  Target
	session *session

	system  string // "Linux", "Darwin"
	uid     int
	user    string
	home    string
	service string // home of the user gitlab-runner
	boot    string // id of the running kernel
	started time.Time

	running  []host.Process
	problem  string
	locks    map[int]*lock // by slot
	seen     map[string]entry
	withSudo []string
	closed   []string // standard places that could not be looked into
}

// Options say how ssh is run.
type Options struct {
	Program string        // "" is the ssh of PATH
	Wait    time.Duration // for the connection; what follows it is bounded by the context
	Answer  time.Duration // for the answer to one question, 0 for no bound but the context's
	Change  bool          // the host may be changed: without it nothing there can be
}

// Dial connects and looks around. The connection ends with ctx or Close. Errors
// say what stands in the way and hold a hint.
func Dial(ctx context.Context, t Target, o Options) (*Host, error) {
	s, err := dial(ctx, t, o)
	if err != nil {
		return nil, err
	}
	h := &Host{target: t, session: s, seen: map[string]entry{}}
	if err := h.introduce(); err != nil {
		_ = s.close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	h.running, h.problem = h.processes()
	return h, nil
}

// Close ends the connection. It is called once.
func (h *Host) Close() { _ = h.session.close() }

func (h *Host) introduce() error {
	a, err := h.session.ask("hello", mostLine, "", nil)
	if err != nil {
		return err
	}
	h.system, h.boot = a.facts["system"], a.facts["boot"]
	h.user, h.home, h.service = printable(a.said("user")), a.said("home"), a.said("service")
	if h.uid, err = strconv.Atoi(a.facts["uid"]); err != nil {
		h.uid = -1
	}
	if seconds, err := strconv.ParseInt(a.facts["btime"], 10, 64); err == nil {
		h.started = time.Unix(seconds, 0)
	}
	return nil
}

// Configs returns the config that the target names, else those in the standard
// places of root and of the user, and those that running gitlab-runners have in
// force. One that may not be looked at is among them: reading it says why.
func (h *Host) Configs() []string {
	if h.target.Path != "" {
		return []string{h.target.Path}
	}
	var found, inodes []string
	add := func(name string, certain bool) {
		e := h.look(name)
		switch {
		case e.obstacle == "missing" || e.obstacle == "notdir" || slices.Contains(found, name) || e.inode != "" && slices.Contains(inodes, e.inode):
			return
		case e.obstacle == "denied" && !h.mayBe(name, certain):
			return
		}
		found, inodes = append(found, name), append(inodes, e.inode)
	}
	for _, p := range h.running {
		if p.Executable == "gitlab-runner" && p.Command == "run" && h.Uses(p, p.Config) {
			add(p.Config, true)
		}
	}
	for _, c := range h.places() {
		add(c.Path, c.Context.Expected())
	}
	return found
}

// mayBe says whether a file behind a closed door is to be told of. With sudo it is
// known; without, only where one is expected.
func (h *Host) mayBe(name string, expected bool) bool {
	_, err := h.Read(name)
	switch {
	case rekey.KindOf(err) == rekey.KindNotFound:
		return false
	case rekey.KindOf(err) == rekey.KindDenied && !expected:
		h.closed = append(h.closed, name)
		return false
	}
	return true
}

// NoConfig is the error of a host without a config.
func (h *Host) NoConfig() error {
	who := "root"
	if h.user != "root" {
		who += " and of " + h.user
	}
	return rekey.Errorf(rekey.KindNotFound, "no config.toml is in the standard locations of %s there, and no running gitlab-runner names one", who).
		WithHint("name it: %s/path/to/config.toml; a container's is reached with --host docker://NAME on that host", h.target.Name())
}

// places are the standard locations there.
func (h *Host) places() []host.Candidate {
	there := host.Host{GOOS: "linux", UID: h.uid, Home: h.home, Dir: "/", Getenv: func(string) string { return "" },
		HomeOf: func(name string) string {
			if name == "gitlab-runner" {
				return h.service
			}
			return ""
		}}
	return there.Places()
}

// Fact says what can be seen of a config beside its text, as host.Host does.
func (h *Host) Fact(name string) host.Fact {
	e := h.look(name)
	if e.obstacle != "" {
		return host.Fact{Path: name}
	}
	f := host.Fact{Path: name, ModTime: e.modified, ChangedAt: e.changed, Generated: e.generated}
	if h.boot != "" && e.inode != "" {
		f.Identity = host.Identity(h.boot, e.inode)
	}
	for _, c := range h.places() {
		if c.Path == name || e.inode != "" && h.look(c.Path).inode == e.inode {
			f.Standard = c.Context
			break
		}
	}
	f.ReadOnly = h.readOnly(name, e)
	return f
}

// readOnly looks at the mounts as this login and as the processes that use the
// file see them.
func (h *Host) readOnly(name string, e entry) string {
	real := name
	if e.real != "" {
		real = e.real
	}
	if h.MountedReadOnly(real) {
		return "its file system is mounted read-only"
	}
	for _, p := range h.running {
		if h.Uses(p, name) && host.MountedReadOnly(h.kernel(fmt.Sprintf("/proc/%d/mounts", p.PID)), p.Config) {
			return "its file system is mounted read-only for " + p.String()
		}
	}
	return ""
}

// kernel returns a listing of /proc, nothing where it cannot be read.
func (h *Host) kernel(file string) []byte {
	a, err := h.session.ask("content", 1<<20, file, nil)
	if err != nil {
		return nil
	}
	return a.data
}

// SystemID reads the .runner_system_id beside the config, as host.Host does.
func (h *Host) SystemID(name string) (rekey.SystemID, string) {
	id, problem := h.systemIDIn(path.Dir(name))
	e := h.look(name)
	if e.real == "" || path.Dir(e.real) == path.Dir(name) {
		return id, problem
	}
	other, _ := h.systemIDIn(path.Dir(e.real))
	switch {
	case id == "" && other != "":
		return other, ""
	case id != "" && other != "" && id != other:
		return "", fmt.Sprintf("the system id beside %s and the one beside %s differ", name, e.real)
	}
	return id, problem
}

func (h *Host) systemIDIn(dir string) (rekey.SystemID, string) {
	file := path.Join(dir, host.SystemIDName)
	data, err := h.read(file, 1<<10)
	switch rekey.KindOf(err) {
	case rekey.KindNotFound:
		return "", file + " does not exist: gitlab-runner 15.7 or later makes it at its first start"
	case rekey.KindDenied:
		return "", file + " may not be read by this user"
	}
	if err != nil {
		return "", err.Error()
	}
	return host.ParseSystemID(file, data)
}

// ReadFile reads a TLS file.
func (h *Host) ReadFile(name string) ([]byte, error) {
	const most = 4 << 20
	if !path.IsAbs(name) {
		return nil, rekey.Errorf(rekey.KindInvalid, "its path is relative to the working directory of gitlab-runner there")
	}
	data, err := h.read(name, most)
	if rekey.KindOf(err) == rekey.KindNotFound && err != nil {
		return nil, &rekey.Error{Kind: rekey.KindNotFound, Err: fs.ErrNotExist, Msg: err.Error()}
	}
	return data, err
}

// Notes says, for people, what was done there beside reading as the user.
func (h *Host) Notes() []string {
	var notes []string
	if len(h.withSudo) > 0 {
		notes = append(notes, fmt.Sprintf("%s: read with `sudo -n cat`, as the user %s may not: %s", h.target.Name(), h.user, strings.Join(h.withSudo, ", ")))
	}
	if len(h.closed) > 0 {
		notes = append(notes, fmt.Sprintf("%s: the user %s may not see whether there is a config at %s; root may: %s", h.target.Name(), h.user, strings.Join(h.closed, ", "), h.root()))
	}
	return notes
}

// Broken reports whether the connection has ended: nothing can be asked any more.
func (h *Host) Broken() bool {
	h.session.mu.Lock()
	defer h.session.mu.Unlock()
	return h.session.dead != nil
}
