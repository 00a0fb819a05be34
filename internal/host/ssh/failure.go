package ssh

import (
	"errors"
	"os/exec"
	"strings"
	"unicode"

	"rekey"
)

// failures tell what OpenSSH's words mean; the first that matches counts. %s is
// the command to try by hand.
var failures = []struct {
	words, reason, hint string
	kind                rekey.Kind
}{
	{"REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one that is known: it was installed anew, or somebody stands in between", "ask who runs it; if the new key is right, forget the old one with ssh-keygen -R and run %s once", rekey.KindDenied},
	{"Host key verification failed", "its host key is not known here", "compare the fingerprint and accept it once: %s", rekey.KindDenied},
	{"No matching host key", "its host key is not of a kind that is accepted here", "try it: %s", rekey.KindDenied},
	{"sudo: a password is required", "sudo asks for a password there", "allow this user sudo without one (NOPASSWD), name root as in ssh://root@host, or leave --become away: %s", rekey.KindDenied},
	{"is not in the sudoers file", "this user may not use sudo there", "name root as in ssh://root@host, or leave --become away: %s", rekey.KindDenied},
	{"sudo: not found", "sudo is not there", "name root as in ssh://root@host, or leave --become away: %s", rekey.KindInvalid},
	{"sudo: command not found", "sudo is not there", "name root as in ssh://root@host, or leave --become away: %s", rekey.KindInvalid},
	{"sudo:", "sudo refuses to run as root there", "try it: %s sudo -n id", rekey.KindDenied},
	{"Permission denied", "it takes none of the keys that ssh offers for this user", "name the user as in ssh://root@host, load the key with ssh-add, and try it: %s", rekey.KindDenied},
	{"Too many authentication failures", "it took none of the first keys that ssh offers", "name the key in ~/.ssh/config (IdentityFile, IdentitiesOnly yes) and try it: %s", rekey.KindDenied},
	{"Could not resolve hostname", "its name has no address (DNS, ~/.ssh/config)", "try it: %s", rekey.KindUnavailable},
	{"Connection refused", "it refuses the connection: no sshd listens there", "check host and port, then try it: %s", rekey.KindUnavailable},
	{"timed out", "it did not answer in time", "check that the host is up and that no firewall is in between: %s", rekey.KindUnavailable},
	{"No route to host", "there is no route to it", "try it: %s", rekey.KindUnavailable},
	{"Network is unreachable", "its network cannot be reached from here", "try it: %s", rekey.KindUnavailable},
	{"account is currently not available", "the user has no shell there", "name a user with a shell, as in ssh://root@host: %s", rekey.KindDenied},
	{"is not recognized", "it runs no POSIX shell (Windows?)", "run rekey on the host itself", rekey.KindInvalid},
	{"sh: not found", "it runs no POSIX shell for this user", "run rekey on the host itself", rekey.KindInvalid},
	{"command not found", "it runs no POSIX shell for this user", "run rekey on the host itself", rekey.KindInvalid},
	{"Connection closed by", "it closed the connection before a login", "look into sshd's log there, and try it: %s", rekey.KindUnavailable},
	{"kex_exchange_identification", "what listens there is no sshd, or it turns this machine away", "try it: %s", rekey.KindUnavailable},
}

// failure says why there is no session; ended is how ssh ended.
func (s *session) failure(ended error) error {
	text := serious(s.said.String())
	for _, f := range failures {
		if strings.Contains(text, f.words) {
			reason := f.reason
			if f.words == "sudo:" {
				reason += ": " + lastLine(text)
			}
			return rekey.Errorf(f.kind, "%s", reason).WithHint("%s", strings.ReplaceAll(f.hint, "%s", s.target.command()))
		}
	}
	var exit *exec.ExitError
	if errors.As(ended, &exit) && exit.ExitCode() == 127 {
		return rekey.Errorf(rekey.KindInvalid, "it runs no POSIX shell for this user").WithHint("run rekey on the host itself")
	}
	reason := "ssh came to no session, and its login answers no command"
	if last := lastLine(text); last != "" {
		reason = "ssh came to no session: " + last
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s", reason).WithHint("try it: %s", s.target.command())
}

// serious leaves out what sudo says beside what it does.
func serious(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "sudo: unable to resolve host") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// lastLine is the last line that says something, fit for a terminal.
func lastLine(text string) string {
	const most = 200
	last := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(strings.ToValidUTF8(line, "?")); line != "" && !strings.HasPrefix(line, "Could not chdir to home directory") {
			last = line
		}
	}
	last = printable(last)
	if runes := []rune(last); len(runes) > most {
		last = string(runes[:most]) + "…"
	}
	return last
}

// printable is a text of the host without what a terminal would obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
