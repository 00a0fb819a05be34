package upgrade

import (
	"net/url"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/fleet"
)

// judgeToken looks at the kind of token, and so at how the runner came to GitLab.
func (c *council) judgeToken(s diagnose.Section, server *diagnose.Server) []Reason {
	token := s.Token
	if s.Expanded != nil {
		token = *s.Expanded
	}
	switch token.Kind() {
	case rekey.TokenRegistration:
		return []Reason{c.registration(server, "`token` is a registration token")}
	case rekey.TokenRunnerLegacy:
		row := fleet.ChangeOf("registered-the-old-way")
		ends := "while they last, planned until 20.0"
		if c.holds(fleet.ChangeOf("registration-removed")) {
			ends = "which are planned to be gone by then"
		}
		return []Reason{because(row, Deprecated, "its runner was registered with a registration token (%s). The token keeps working; a host made anew the same way needs registration tokens, %s: create the runner first instead", shape(token), ends)}
	case rekey.TokenRunner:
		row := fleet.ChangeOf("created-token")
		return []Reason{because(row, Fine, "its runner was created first (glrt-); such tokens stay valid through the upgrade")}
	}
	return nil
}

func shape(t rekey.Token) string {
	if strings.Contains(t.Reveal(), "glrtr-") {
		return "glrtr-"
	}
	return "its token has no prefix"
}

// registration judges whoever depends on registration tokens at server. It breaks
// only where the switch was seen off, on GitLab.com, or once GitLab removes them.
func (c *council) registration(server *diagnose.Server, what string) Reason {
	com, removed := fleet.ChangeOf("com-registration-off"), fleet.ChangeOf("registration-removed")
	switch {
	case server != nil && server.RegistrationAllowed != nil && !*server.RegistrationAllowed:
		return because(fleet.ChangeOf("registration-switch"), Breaks, "%s, and this GitLab takes none: %s", what, switchSeen(server))
	case server != nil && isCom(server.URL) && c.holds(com):
		return because(com, Breaks, "%s, and GitLab.com takes none from 17.0 on", what)
	case c.holds(removed):
		return because(removed, Breaks, "%s: %s (announced)", what, removed.Says)
	}
	row := fleet.ChangeOf("registration-deprecated")
	switch {
	case server == nil || server.RegistrationAllowed == nil:
		return because(row, Deprecated, "%s: deprecated, planned to go with 20.0. Whether this GitLab takes them was not told; it takes them until somebody switches them off, and an upgrade does not", what)
	default:
		return because(row, Deprecated, "%s: deprecated, planned to go with 20.0. This GitLab takes them (%s), and an upgrade leaves that as it is", what, switchSeen(server))
	}
}

// switchSeen is how the switch is known.
func switchSeen(s *diagnose.Server) string {
	if s.RegistrationEvidence.Seen == "" {
		return "the switch was read"
	}
	return s.RegistrationEvidence.Seen
}

func isCom(base string) bool {
	u, err := url.Parse(base)
	return err == nil && strings.EqualFold(u.Hostname(), "gitlab.com")
}
