package app

import "rekey"

// RestartHost is this machine as a run with --reload restart has it.
type RestartHost struct{ repairedHost }

// NewRestartHost looks for processes in proc, and calls systemctl by that name.
func NewRestartHost(a *App, proc, systemctl string) (*RestartHost, error) {
	n, err := a.network(Access{})
	if err != nil {
		return nil, err
	}
	h := a.repairedHost(n, ProofInput{Reload: "restart"}, nil)
	h.Host.Proc, h.Systemctl = proc, systemctl
	return &RestartHost{h}, nil
}

// Learn is what the engine tells of each target of a journal.
func (h *RestartHost) Learn(t rekey.Target) { h.learn(t) }
