package app

import (
	"context"
	"time"

	"rekey/internal/controller"
	"rekey/internal/diagnose"
	"rekey/internal/host"
	"rekey/internal/host/ssh"
)

// sshSource is a host that is reached when it is its turn.
func (a *App) sshSource(in DoctorInput, t ssh.Target) controller.Source {
	s := controller.Source{Name: t.Name()}
	if t.Path != "" {
		s.Paths = []string{t.Path}
	}
	wait := in.Access.Timeout
	if wait == 0 {
		wait = 30 * time.Second
	}
	s.Open = func(ctx context.Context) ([]controller.Source, error) {
		h, err := ssh.Dial(ctx, t, ssh.Options{Wait: min(wait, 10*time.Second)})
		if err != nil {
			return nil, err
		}
		opened := controller.Source{Name: s.Name, Host: sshHost{h}, Paths: h.Configs(), ReadFile: h.ReadFile, Close: h.Close, Remarks: h.Notes}
		if len(opened.Paths) == 0 {
			opened.Err = h.NoConfig()
		}
		if h.HasService() {
			opened.Logs = []controller.Log{{Name: s.Name + " " + host.JournalCommand, Open: h.Journal}}
		}
		return []controller.Source{opened}, nil
	}
	return s
}

// sshHost is controller.Host on another machine.
type sshHost struct{ *ssh.Host }

// File says what there is to see of a config beside its text.
func (h sshHost) File(path string) diagnose.File { return fileOf(h.Fact(path)) }

// Processes returns the runners that run there for good.
func (h sshHost) Processes(paths []string) ([]diagnose.Process, string) {
	running, problem := h.Host.Processes()
	return processes(running, paths, h.Uses), problem
}
