package gitlab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// envelope is one of GitLab's four JSON error shapes, or something else. Keys
// are compared exactly, as encoding/json would not.
type envelope struct {
	json    bool   // the body is one JSON value
	object  bool   // the body is a JSON object
	message string // "message", flattened when it is an object
	plain   bool   // "message" is a string
	err     string // "error"
	scope   string // "scope" of the guard: the scopes that would do
	desc    string // "error_description"
	fields  map[string]json.RawMessage
}

func parseEnvelope(body []byte) envelope {
	e := envelope{json: json.Valid(body)}
	if !e.json || json.Unmarshal(body, &e.fields) != nil || e.fields == nil {
		return e
	}
	e.object = true
	e.plain = json.Unmarshal(e.fields["message"], &e.message) == nil && e.fields["message"] != nil
	if !e.plain {
		e.message = flatten(e.fields["message"])
	}
	e.err = flatten(e.fields["error"])
	e.scope = flatten(e.fields["scope"])
	e.desc = flatten(e.fields["error_description"])
	return e
}

// text is what GitLab says, for people.
func (e envelope) text() string {
	switch {
	case e.message != "":
		return e.message
	case e.err != "" && e.desc != "":
		return e.err + ": " + e.desc
	}
	return e.err
}

// isGitLabs reports whether the body has the form of GitLab's errors.
func (e envelope) isGitLabs() bool { return e.object && (e.message != "" || e.err != "") }

// refusal is the one answer that speaks of a runner token.
func (e envelope) refusal() bool {
	return e.plain && e.message == "403 Forbidden" && e.fields["error"] == nil
}

// unknownRoute is the body of a path that this GitLab does not have
// (lib/api/api.rb); a missing record has "message" instead.
func (e envelope) unknownRoute() bool {
	return e.err == "404 Not Found" && e.fields["message"] == nil
}

// readOnly recognises maintenance mode and a read-only database.
func (e envelope) readOnly() bool {
	text := strings.ToLower(e.text())
	return strings.Contains(text, "read-only") || strings.Contains(text, "maintenance mode")
}

// orphaned recognises a runner whose group or project is gone.
func (e envelope) orphaned() bool { return strings.Contains(strings.ToLower(e.text()), "orphaned") }

// insufficientScope is the guard's refusal of the user token's scopes.
func (e envelope) insufficientScope() bool { return e.err == "insufficient_scope" }

// flatten makes one line of a JSON value: strings as they are, lists joined by
// commas, objects as "key: value" in the order of their keys.
func flatten(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return ""
	}
	return flat(v)
}

func flat(v any) string {
	var parts []string
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		for _, item := range v {
			parts = append(parts, flat(item))
		}
	case map[string]any:
		for key, item := range v {
			parts = append(parts, key+": "+flat(item))
		}
		slices.Sort(parts)
	default:
		return fmt.Sprint(v)
	}
	return strings.Join(parts, ", ")
}

var titlePattern = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// strange describes a body that is not GitLab's JSON.
func strange(r *reply) string {
	kind := "no content"
	switch {
	case looksHTML(r):
		kind = "HTML"
		if m := titlePattern.FindSubmatch(r.body); m != nil {
			kind += fmt.Sprintf(" (title %q)", strings.Join(strings.Fields(string(m[1])), " "))
		}
	case len(bytes.TrimSpace(r.body)) > 0:
		kind = "something that is not GitLab's JSON"
	}
	return fmt.Sprintf("%s with %s: it comes from something in front of GitLab, or this is not a GitLab", r.statusText(), kind)
}

func looksHTML(r *reply) bool {
	start := bytes.ToLower(bytes.TrimSpace(r.body[:min(len(r.body), 512)]))
	return strings.Contains(r.header.Get("Content-Type"), "html") ||
		bytes.HasPrefix(start, []byte("<!doctype")) || bytes.HasPrefix(start, []byte("<html"))
}
