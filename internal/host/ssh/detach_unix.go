//go:build unix

package ssh

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from ssh: what was begun on a host is ended.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
