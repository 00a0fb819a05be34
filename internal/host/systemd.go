package host

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/lazyregexp"
)

// Unit is what systemd tells of one unit (systemctl show).
type Unit struct {
	Name       string // "gitlab-runner.service"
	Loaded     bool
	Active     bool
	MainPID    int    // 0: none
	CanReload  bool   // it has an ExecReload
	ExecReload string // its commands, one a line; one that could not be read is "?"
	Restarts   bool   // Restart=always or on-success: systemd starts anew what has ended by itself
}

// unitOf names the systemd service that a process belongs to, by its control
// group; "" when it is in none, or in that of a container or a user's session.
func (h Host) unitOf(p Process) string {
	return serviceIn(string(readBounded(h.proc(strconv.Itoa(p.PID), "cgroup"))))
}

// serviceIn reads /proc/PID/cgroup: the lines of systemd's own hierarchy are
// "0::PATH" (v2) and "N:name=systemd:PATH" (v1).
func serviceIn(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[0] != "0" && parts[1] != "name=systemd" {
			continue
		}
		for at := parts[2]; at != "/" && at != "." && at != ""; at = path.Dir(at) {
			switch name := path.Base(at); {
			case strings.HasSuffix(name, ".scope"), strings.HasPrefix(name, "user@"):
				return "" // a container, a login, or a user's own systemd
			case strings.HasSuffix(name, ".service") && !strings.Contains(at, "/user@"):
				return name
			}
		}
	}
	return ""
}

const unitProperties = "Id,LoadState,ActiveState,MainPID,CanReload,ExecReload,Restart"

// systemctlTime bounds one call: systemd answers at once or not at all.
const systemctlTime = 20 * time.Second

// systemctl runs the command without ever asking for a password, and returns what
// it prints.
func (h Host) systemctl(ctx context.Context, args ...string) (string, error) {
	name := h.Systemctl
	if name == "" {
		name = "systemctl"
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", rekey.Errorf(rekey.KindUnavailable, "systemctl is not there").WithHint("this host has no systemd: --reload sighup, or --reload none")
	}
	ctx, stop := context.WithTimeout(ctx, systemctlTime)
	defer stop()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, found, append([]string{"--no-ask-password", "--no-pager"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &said, time.Second
	if err := cmd.Run(); err != nil {
		text := strings.Join(strings.Fields(said.String()), " ")
		if len(text) > 300 {
			text = text[:300]
		}
		return "", rekey.Errorf(rekey.KindUnavailable, "systemctl %s: %w: %s", strings.Join(args, " "), err, text).
			WithHint("type it yourself: sudo systemctl %s", strings.Join(args, " "))
	}
	return out.String(), nil
}

// unit asks systemd about one unit.
func (h Host) unit(ctx context.Context, name string) (Unit, error) {
	text, err := h.systemctl(ctx, "show", "--property="+unitProperties, "--", name)
	if err != nil {
		return Unit{}, err
	}
	u := parseUnit(text)
	if u.Name == "" {
		u.Name = name
	}
	if !u.Loaded {
		return u, rekey.Errorf(rekey.KindNotFound, "systemd knows no unit %s", name)
	}
	return u, nil
}

// reloadCommand is the command line in the value of an Exec property:
// "{ path=/bin/kill ; argv[]=/bin/kill -HUP $MAINPID ; ignore_errors=no ; … }".
var reloadCommand = lazyregexp.New(`argv\[\]=(.*?) ; ignore_errors=`)

func parseUnit(text string) Unit {
	var u Unit
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		switch key {
		case "Id":
			u.Name = value
		case "LoadState":
			u.Loaded = value == "loaded"
		case "ActiveState":
			u.Active = value == "active" || value == "reloading"
		case "MainPID":
			u.MainPID, _ = strconv.Atoi(value)
		case "CanReload":
			u.CanReload = value == "yes"
		case "Restart":
			u.Restarts = value == "always" || value == "on-success"
		case "ExecReload":
			command := "?"
			if m := reloadCommand.FindStringSubmatch(value); m != nil {
				command = m[1]
			}
			u.ExecReload = strings.TrimPrefix(u.ExecReload+"\n"+command, "\n")
		}
	}
	return u
}

// hangsUp matches an ExecReload that sends SIGHUP to the main process. Of any other
// it cannot be known that it aborts no jobs: SIGTERM, which a plain kill sends, does.
var hangsUp = lazyregexp.New(`^(?:/\S*/)?kill +(?:-|-s +|--signal(?: +|=))(?:1|(?:SIG)?HUP) +(?:-- +)?\$(?:MAINPID|\{MAINPID\})$`)

// reloads reports whether `systemctl reload` makes gitlab-runner load its config
// and does nothing else that can be seen.
func (u Unit) reloads() bool {
	for command := range strings.SplitSeq(u.ExecReload, "\n") {
		if !hangsUp.MatchString(command) {
			return false
		}
	}
	return u.Active && u.CanReload
}

func (h Host) reloadUnit(ctx context.Context, u Unit) (string, error) {
	err := durable.Call("host.systemctl.reload", func() error {
		_, err := h.systemctl(ctx, "reload", "--", u.Name)
		return err
	})
	return fmt.Sprintf("systemctl reload %s", u.Name), err
}
