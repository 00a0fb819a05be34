//go:build !unix

package simrunner

import (
	"os/exec"
	"time"
)

// ownGroup has no process groups to use here: the shell alone is killed.
func ownGroup(cmd *exec.Cmd, grace time.Duration) { cmd.WaitDelay = grace }

func killGroup(*exec.Cmd) {}
