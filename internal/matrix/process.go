package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Process is a gitlab-runner of the scenario's machine.
type Process struct {
	Args []string // after `gitlab-runner run`
	Env  []string
	User int
	Age  time.Duration // since it started
	Root string        // what it sees as /; "": this machine's own root
}

// booted is when the scenarios' machines started, before anything else.
const booted = 400 * 24 * time.Hour

// Machine is the root of the scenario's machine: doctor sees its standard places
// and processes, and none of the machine on which this runs.
func (w *World) Machine(parts ...string) string {
	return filepath.Join(append([]string{w.Dir, "machine"}, parts...)...)
}

// prepare makes the machine, on which nothing runs.
func (w *World) prepare() {
	w.File("machine/proc/stat", fmt.Sprintf("cpu 1\nbtime %d\n", w.Before(booted).Unix()))
	w.Env["REKEY_HOST_ROOT"] = w.Machine()
}

// Runs has a gitlab-runner run on the machine, as /proc shows one.
func (w *World) Runs(p Process) {
	w.T.Helper()
	w.pids++
	id := strconv.Itoa(6 + w.pids)
	dir := filepath.Join("machine/proc", id)
	lines := func(list []string) string { return strings.Join(list, "\x00") + "\x00" }
	w.File(filepath.Join(dir, "cmdline"), lines(append([]string{"/usr/bin/gitlab-runner", "run"}, p.Args...)))
	w.File(filepath.Join(dir, "environ"), lines(append([]string{"PATH=/usr/bin"}, p.Env...)))
	ticks := int64((booted - p.Age).Seconds()) * 100 // USER_HZ
	w.File(filepath.Join(dir, "stat"), fmt.Sprintf("%s (gitlab-runner) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 %d 1 2", id, ticks))
	w.File(filepath.Join(dir, "status"), fmt.Sprintf("Name:\tgitlab-runner\nUid:\t%d\t0\t0\t0\nSigCgt:\t7fffffffffffffff\n", p.User))
	root := p.Root
	if root == "" {
		root = "/"
	}
	for name, to := range map[string]string{"cwd": "/", "root": root} {
		if err := os.Symlink(to, filepath.Join(w.Dir, dir, name)); err != nil {
			w.T.Fatal(err)
		}
	}
}
