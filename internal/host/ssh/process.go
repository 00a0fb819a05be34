package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"rekey/internal/host"
)

// Processes returns the gitlab-runners that run there; problem says why there may
// be more. They were listed when the connection was made.
func (h *Host) Processes() (found []host.Process, problem string) { return h.running, h.problem }

func (h *Host) processes() (found []host.Process, problem string) {
	raw := host.Raw{}
	last := "" // the fact whose data comes next
	finish := func() {
		if p, ok := raw.Process(h.started); ok {
			if printable(p.Config) != p.Config {
				p.Config, p.ConfigFrom, p.Problem = "", "", "the name of its config has control characters"
			}
			found = append(found, p)
		}
	}
	record := func(key, value string, before []byte) {
		raw = with(raw, last, before)
		last = key
		switch key {
		case "pid":
			finish()
			raw = host.Raw{Hidden: true}
			raw.PID, _ = strconv.Atoi(value)
		case "stat":
			if words := strings.Fields(value); len(words) >= 20 && words[0] != "Z" && words[0] != "X" {
				raw.Ticks = words[19]
			}
		case "dir":
			if dir, err := unhex(nil, value); err == nil {
				raw.Dir = string(dir)
			}
		case "is":
			raw.Hidden = false
		}
	}
	a, err := h.session.ask("running", mostListing, "", record)
	raw = with(raw, last, a.data)
	finish()
	switch {
	case err != nil:
		return found, err.Error()
	case a.obstacle != "":
		return nil, "running processes are listed on Linux only"
	}
	return found, ""
}

// mostListing bounds what all processes together may tell.
const mostListing = 4 << 20

// with adds data to the fact that it belongs to.
func with(raw host.Raw, fact string, data []byte) host.Raw {
	lines := func() []string { return strings.Split(strings.TrimRight(string(data), "\n"), "\n") }
	switch fact {
	case "arguments":
		raw.Args = lines()
	case "status":
		raw.Status = string(data)
	case "environ":
		if len(data) > 0 {
			raw.Environ = lines()
		}
	}
	return raw
}

// Uses reports whether the process's config is the file at path there, seen
// through the process's own root where that may be looked at.
func (h *Host) Uses(p host.Process, path string) bool {
	if p.Config == "" {
		return false
	}
	want := h.look(path)
	if want.inode == "" {
		return p.Config == path && want.obstacle == "denied"
	}
	root := fmt.Sprintf("/proc/%d/root", p.PID)
	switch got := h.look(root + p.Config); got.obstacle {
	case "":
		return got.inode == want.inode
	case "denied":
		return h.look(p.Config).inode == want.inode
	}
	return false
}

// Journal returns the end of gitlab-runner's journal of the last day. Where none
// runs there is none, and no error.
func (h *Host) Journal(context.Context) (io.ReadCloser, error) {
	const most = 4 << 20
	a, err := h.session.ask("journal", most, "", nil)
	if err != nil {
		return nil, err
	}
	if a.obstacle != "" {
		return nil, errors.New("journalctl is not there")
	}
	return io.NopCloser(bytes.NewReader(a.data)), nil
}

// HasService reports whether a gitlab-runner runs there that may have a journal.
func (h *Host) HasService() bool {
	return slices.ContainsFunc(h.running, func(p host.Process) bool { return p.Executable == "gitlab-runner" && p.Command == "run" })
}
