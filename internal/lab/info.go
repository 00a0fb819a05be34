package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"rekey"
)

// Info is what DIR/lab.json tells scripts. It holds tokens in clear: the file is
// private, and Info is not for logs.
type Info struct {
	URL                string            `json:"url"`
	AdminToken         string            `json:"admin_token"`
	Version            string            `json:"gitlab_version"`
	RegistrationTokens map[string]string `json:"registration_tokens"`
	PID                int               `json:"pid"`
	Profile            string            `json:"profile"`
	Address            string            `json:"address,omitempty"` // listened on, where the URL may lead elsewhere
}

// Info returns the lab's identity. The instance registration token is there even
// where the lab refuses it, so that the refusal can be seen.
func (s *Server) Info() Info {
	info := Info{URL: s.URL(), AdminToken: s.adminToken, Version: s.version.String(), PID: os.Getpid(), Profile: s.profile,
		RegistrationTokens: map[string]string{}}
	err := s.read(context.Background(), func(t *tx) error {
		token, err := t.instanceToken()
		if token != "" {
			info.RegistrationTokens["instance"] = token
		}
		return err
	})
	if err != nil {
		s.log.Error("instance registration token is unreadable", "error", err)
	}
	return info
}

// InfoPath is where WriteInfo writes.
func (s *Server) InfoPath() string { return filepath.Join(s.dir, "lab.json") }

// WriteInfo writes DIR/lab.json (mode 0600) in one piece. Call it when the lab
// serves: scripts wait for it.
func (s *Server) WriteInfo() error { return writeInfo(s.InfoPath(), s.Info()) }

func writeInfo(path string, info Info) error {
	raw, err := json.Marshal(info)
	if err != nil {
		return rekey.Errorf(rekey.KindInternal, "encode lab.json: %w", err)
	}
	if err := replaceFile(path, append(raw, '\n')); err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "write lab.json: %w", err)
	}
	return nil
}

// StartLine is the line that says what is being served; it never shows a token.
func (s *Server) StartLine() string {
	allowed := "registration tokens allowed"
	if !s.settings().flag("allow_runner_registration_token") {
		allowed = "registration tokens refused with 410"
	}
	return fmt.Sprintf("rekey lab: this is NOT GitLab and not for production; it answers as GitLab %s (profile %s: %s) at %s, see %s",
		s.version, s.profile, allowed, s.URL(), s.InfoPath())
}
