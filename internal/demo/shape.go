package demo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// stamp is a date as gitlab-runner writes it; zero is its "unset".
func stamp(t time.Time) string {
	if t.IsZero() {
		return "0001-01-01T00:00:00Z"
	}
	return t.UTC().Format(time.RFC3339)
}

// quoted is a TOML basic string: the escapes of Go's that can occur here are
// TOML's too.
func quoted(s string) string { return strconv.Quote(s) }

// shapeCommented is a config that people maintain: comments between everything.
func shapeCommented(sections []*section) string {
	var b strings.Builder
	b.WriteString("# Runner host alpha. Ask the platform team before you touch this file.\nconcurrent = 8   # four cores, twice\ncheck_interval = 1\nlog_level = \"info\"\n\n[session_server]\n  session_timeout = 1800\n")
	for i, s := range sections {
		fmt.Fprintf(&b, "\n# --- %d: %s ---------------------------------\n[[runners]]\n  name = %s\n  url = %s  # no trailing slash\n  id = %d\n  token = %s  # from the password store\n  token_obtained_at = %s\n  token_expires_at = %s\n  executor = %s\n  [runners.custom_build_dir]\n  [runners.cache]\n    MaxUploadedArchiveSize = 0\n",
			i+1, s.name, quoted(s.name), quoted(s.url), s.id, quoted(s.token), stamp(s.obtained), stamp(s.expires), quoted(s.executor))
	}
	b.WriteString("\n# end of file\n")
	return b.String()
}

// shapeWindows came from an editor that writes CRLF.
func shapeWindows(sections []*section) string {
	return strings.ReplaceAll(shapeCommented(sections), "\n", "\r\n")
}

// shapeTerse is written by hand: single quotes, no dates, odd order, unknown keys,
// a variable in the environment, no newline at the end.
func shapeTerse(sections []*section) string {
	parts := []string{"check_interval=1\nconcurrent=8"}
	for _, s := range sections {
		token := quoted(s.token)
		if !strings.ContainsAny(s.token, "'\n\r\u00a0\u200b") {
			token = "'" + s.token + "'"
		}
		dates := ""
		if !s.expires.IsZero() {
			dates = fmt.Sprintf("\ntoken_obtained_at=%s\ntoken_expires_at=%s", stamp(s.obtained), stamp(s.expires))
		}
		parts = append(parts, fmt.Sprintf("[[runners]]\ntoken=%s\nid=%d\nexecutor='shell'%s\nurl='%s'\nname='%s'\nteam_contact='%s@example.com'\nenvironment=[\"DEPLOY_KEY=${DEPLOY_KEY}\"]",
			token, s.id, dates, s.url, s.name, s.name))
	}
	return strings.Join(parts, "\n\n")
}

// shapeIndented is what gitlab-runner itself writes, indented once more by hand.
func shapeIndented(sections []*section) string {
	lines := strings.Split(shapeCommented(sections), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "  ") {
			lines[i] = "\t" + strings.TrimPrefix(l, "  ")
		}
	}
	return strings.Join(lines, "\n")
}
