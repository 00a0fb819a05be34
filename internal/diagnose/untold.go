package diagnose

import (
	"fmt"
	"strings"

	"rekey"
)

// cannotTell adds a sentence to what could not be told of the section.
func (s *section) cannotTell(format string, args ...any) {
	text := scrub(fmt.Sprintf(format, args...))
	for _, have := range s.untold {
		if have == text {
			return
		}
	}
	s.untold = append(s.untold, text)
}

// tellRight says that something could not be told, why GitLab's record of the
// runner is not at hand, and which right would let it.
func (s *section) tellRight(what string) {
	s.cannotTell("Could not tell %s: %s.", what, s.noRecord())
}

func (s *section) tellValidRight() {
	if s.Record.Lookup == LookupGone || s.Record.Lookup == LookupFound {
		s.cannotTell("GitLab accepts the token, but runner %d is not its record: the section's id is wrong, so whether the runner is paused, what it serves and its version were not told.", s.RunnerID)
		return
	}
	s.tellRight("whether the runner is paused, which projects it serves, who shares it, and its version")
}

// noRecord says why there is no record and what would bring it.
func (s *section) noRecord() string {
	const right = "scope read_api (or manage_runner from GitLab 17.1), as Maintainer of the runner's group or project, any user for an instance runner"
	switch s.Record.Lookup {
	case LookupDenied:
		return fmt.Sprintf("the user token may not see runner %d%s; it needs %s", s.RunnerID, because(s.Record.Reason), right)
	case LookupFailed:
		return fmt.Sprintf("the request for runner %d failed%s", s.RunnerID, because(s.Record.Reason))
	case LookupFound:
		return "GitLab's record does not say"
	}
	return s.noLookup(right)
}

func (s *section) noLookup(right string) string {
	state := UserTokenNone
	if s.server != nil && s.server.UserToken != "" {
		state = s.server.UserToken
	}
	switch {
	case state == UserTokenRefused:
		return "the user token given for this GitLab is refused (401); it needs one with " + right
	case state == UserTokenLimited:
		return "the user token lacks a right (" + s.server.UserTokenDetail + "); it needs " + right
	case state == UserTokenUnknown:
		return "GitLab gave no answer to judge the user token by; it needs one with " + right
	case s.RunnerID == 0 && s.Answer.RunnerID == 0:
		text := "the section has no runner id, without which no user token can look the runner up"
		if s.Answer.Kind == rekey.AnswerRefused {
			text += "; find the runner in GitLab by its description or tags"
		}
		return text
	case state == UserTokenNone:
		return "no user token was given for this GitLab; it needs one with " + right
	}
	return "the runner was not looked up" + because(strings.TrimSpace(s.Record.Reason))
}
