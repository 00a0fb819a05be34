package upgrade

import (
	"fmt"
	"strings"

	"rekey/internal/diagnose"
	"rekey/internal/fleet"
)

// judgeServer looks at how runners come to one GitLab, by its setting and by what
// logs say of `gitlab-runner register`.
func (c *council) judgeServer(s diagnose.Server) Server {
	out := Server{URL: s.URL, Version: s.VersionText, Effect: Fine, Reasons: []Reason{}, Crossed: []Crossing{}}
	if out.Version == "" && !s.Version.IsZero() {
		out.Version = s.Version.String()
	}
	for _, l := range c.Logs {
		if r, ok := c.judgeLine(l, &s); ok {
			out.Reasons = append(out.Reasons, r)
			out.Effect = worse(out.Effect, r.Effect)
		}
	}
	if s.RegistrationAllowed != nil {
		state := map[bool]string{true: "takes registration tokens; an upgrade leaves that as it is", false: "takes no registration tokens any more"}[*s.RegistrationAllowed]
		out.Reasons = append(out.Reasons, because(fleet.ChangeOf("registration-switch"), Fine, "this GitLab %s: %s", state, switchSeen(&s)))
	}
	for _, row := range fleet.Crossed(s.Version, c.target) {
		out.Crossed = append(out.Crossed, Crossing{Slug: row.ID, Level: row.Level, Text: row.Says, Since: version(row.ServerFrom), Source: row.Source})
	}
	return out
}

// oldFlow are the lines by which `gitlab-runner register` tells that it used what
// goes with registration tokens.
var oldFlow = map[string]string{
	"register-deprecated": "somebody registers with a registration token",
	"register-compatible": "somebody registers with a glrt- token in the place of a registration token",
	"register-token-flag": "somebody gives `register --token` something that is no glrt- token",
}

// judgeLine judges one line of a log that speaks of registering at s.
func (c *council) judgeLine(l diagnose.LogLine, s *diagnose.Server) (Reason, bool) {
	if l.URL != "" && !under(l.URL, s.URL) || l.URL == "" && len(c.Servers) > 1 {
		return Reason{}, false
	}
	if strings.HasPrefix(l.ID, "register-") && strings.HasSuffix(l.ID, "/gone") {
		return because(fleet.ChangeOf("registration-switch"), Breaks, "%s:%d: a registration was answered 410: this GitLab takes no registration tokens, or that group does not", l.Log, l.Number), true
	}
	what, ok := oldFlow[l.ID]
	if !ok {
		return Reason{}, false
	}
	what = fmt.Sprintf("%s:%d: %s", l.Log, l.Number, what)
	if l.ID == "register-compatible" { // works whatever the switch says
		removed := fleet.ChangeOf("registration-removed")
		if c.holds(removed) {
			return because(removed, Breaks, "%s: %s (announced)", what, removed.Says), true
		}
		return because(fleet.ChangeOf("registration-deprecated"), Deprecated, "%s: pass it with --token; the other way is planned to go with 20.0", what), true
	}
	return c.registration(s, what), true
}
