package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Process is a running gitlab-runner, or a simulated one, as /proc shows it. Its
// arguments are not kept: they may hold a token.
type Process struct {
	PID        int
	Executable string // "gitlab-runner", "rekey"
	Command    string // "run", "run-single", "lab runner"
	UID        int    // -1 when unknown
	Dir        string // working directory, "" when unknown
	Started    time.Time

	Config     string // in force, absolute in the process's own file system; "" when unknown
	ConfigFrom string // "--config", "CONFIG_FILE" or "default"
	Problem    string // what could not be read of it, for people

	proc   string // the /proc it was found in
	ticks  string // start time as the kernel writes it; with PID the identity
	hangup bool   // it has a handler for SIGHUP
}

// Processes returns the runner processes of this machine, containers included
// where /proc shows them. problem says why there may be more.
func (h Host) Processes() (found []Process, problem string) {
	if h.GOOS != "linux" {
		return nil, "running processes are listed on Linux only"
	}
	entries, err := os.ReadDir(h.proc())
	if err != nil {
		return nil, "the list of processes cannot be read: " + err.Error()
	}
	boot := h.bootTime()
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := h.process(pid, boot); ok {
			found = append(found, p)
		}
	}
	return found, ""
}

// process reads one entry; ok is false when it is no runner, or has ended.
func (h Host) process(pid int, boot time.Time) (Process, bool) {
	dir := h.proc(strconv.Itoa(pid))
	args := fields(readBounded(filepath.Join(dir, "cmdline")))
	if _, command, _ := recognise(args); command == "" {
		return Process{}, false
	}
	raw := Raw{PID: pid, Args: args, Ticks: startTicks(h.proc(), pid), Status: string(readBounded(filepath.Join(dir, "status"))),
		Environ: fields(readBounded(filepath.Join(dir, "environ")))}
	cwd, err := os.Readlink(filepath.Join(dir, "cwd"))
	raw.Dir, raw.Hidden = cwd, err != nil
	p, ok := raw.Process(boot)
	p.proc = h.proc()
	return p, ok
}

// Raw is what /proc shows of a process, here or elsewhere.
type Raw struct {
	PID     int
	Args    []string
	Ticks   string   // field 22 of stat, "" when the process has ended
	Status  string   // the lines of status
	Environ []string // as far as it could be read: CONFIG_FILE and HOME are what counts
	Dir     string   // working directory, "" when unknown
	Hidden  bool     // directory and environment may not be read
}

// Process makes a Process of it; ok is false when it is no runner, or has ended.
func (r Raw) Process(boot time.Time) (p Process, ok bool) {
	name, command, rest := recognise(r.Args)
	if command == "" || r.Ticks == "" {
		return Process{}, false
	}
	p = Process{PID: r.PID, Executable: name, Command: command, UID: -1, ticks: r.Ticks, Started: started(boot, r.Ticks), Dir: r.Dir}
	p.readStatus(r.Status)
	if r.Hidden {
		p.Problem = "its working directory and environment may not be read by this user"
	}
	p.findConfig(rest, r.Environ)
	return p, true
}

// recognise tells a runner by its arguments: the name of the program, then the
// command. rest is what follows the command.
func recognise(args []string) (name, command string, rest []string) {
	if len(args) < 2 {
		return "", "", nil
	}
	name = strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	switch {
	case strings.HasPrefix(name, "gitlab-runner") || name == "gitlab-ci-multi-runner":
		i := slices.IndexFunc(args, func(a string) bool { return slices.Contains(runnerCommands, a) })
		if i > 0 && (args[i] == "run" || args[i] == "run-single") {
			return "gitlab-runner", args[i], args[i+1:]
		}
	case strings.HasPrefix(name, "rekey"):
		i := slices.Index(args, "lab")
		if i > 0 && i+1 < len(args) && args[i+1] == "runner" {
			return "rekey", "lab runner", args[i+2:]
		}
	}
	return "", "", nil
}

// runnerCommands are enough of gitlab-runner's commands that the first of them
// among the arguments is the one that runs.
var runnerCommands = []string{"run", "run-single", "register", "unregister", "verify", "list", "reset-token", "install", "uninstall", "start", "stop", "restart", "status", "lint", "wrapper", "health-check"}

// findConfig decides which config is in force: the flag, CONFIG_FILE, else the
// standard place of the process's user.
func (p *Process) findConfig(args, environ []string) {
	path, from := flagValue(args), "--config"
	if path == "" {
		path, from = variable(environ, "CONFIG_FILE"), "CONFIG_FILE"
	}
	if path == "" {
		from = "default"
		switch home := variable(environ, "HOME"); {
		case p.UID == 0:
			path = "/etc/gitlab-runner/config.toml"
		case home != "":
			path = filepath.Join(home, ".gitlab-runner", "config.toml")
		case len(environ) > 0:
			path = "config.toml"
		default:
			return // an environment that cannot be read may name any file
		}
	}
	if !filepath.IsAbs(path) {
		if p.Dir == "" {
			return
		}
		path = filepath.Join(p.Dir, path)
	}
	p.Config, p.ConfigFrom = filepath.Clean(path), from
	if from == "default" && len(environ) == 0 {
		p.Problem = "its environment may not be read by this user: CONFIG_FILE may name another config"
	}
}

// flagValue returns the last value of -c or --config in any of their spellings.
func flagValue(args []string) string {
	value := ""
	for i, a := range args {
		name, after, joined := strings.Cut(a, "=")
		if !slices.Contains([]string{"-c", "--c", "-config", "--config"}, name) {
			continue
		}
		switch {
		case joined:
			value = after
		case i+1 < len(args):
			value = args[i+1]
		}
	}
	return value
}

func variable(environ []string, name string) string {
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// Uses reports whether the process's config is the file at path: the same inode
// seen through the process's own root, so that a container's volume matches too.
func (p Process) Uses(path string) bool {
	if p.Config == "" {
		return false
	}
	want, err := os.Stat(path)
	if err != nil {
		return false
	}
	root := filepath.Join(p.proc, strconv.Itoa(p.PID), "root")
	if got, err := os.Stat(root + p.Config); err == nil {
		return os.SameFile(got, want)
	}
	if _, err := os.Readlink(root); err == nil {
		return false // its root can be seen, the file is not there
	}
	got, err := os.Stat(p.Config)
	return err == nil && os.SameFile(got, want)
}

// String names the process for people.
func (p Process) String() string {
	return fmt.Sprintf("%s %s (pid %d)", p.Executable, p.Command, p.PID)
}
