package iac

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"rekey/internal/lazyregexp"
)

// What the formats call a registration token, and what takes its place.
const (
	legacyVariable = "REGISTRATION_TOKEN"
	runnerVariable = "CI_SERVER_TOKEN"
	legacyValue    = "runnerRegistrationToken"
	runnerValue    = "runnerToken"
	legacyKey      = "runner-registration-token"
	runnerKey      = "runner-token"
)

// field mends a name of the registration-token flow with what is given to it.
func (w *rewriter) field(f Finding) {
	if f.Slug == LegacyArgs {
		w.variablesBeside(f)
		return
	}
	s, known := w.names[f.Where]
	if known && w.ofModule(s) {
		w.moduleArgument(f, s)
		return
	}
	if registrationValue(string(w.f.lineText(w.f.line(f.Where.Start)))) {
		w.decide(f.Where.Start, "runners_token is a registration token: make the runner (gitlab_user_runner, `rekey register`, POST /user/runners) and give its token here")
		return
	}
	if at, ok := w.inName(f.Where, legacyValue); ok {
		w.chartValue(f, s, at)
		return
	}
	switch text := w.bytes(f.Where); {
	case text == legacyVariable && !known:
		w.variableUses(f)
	case text == legacyVariable && w.readByRunner(s):
		w.variable(f, s)
	case text == legacyKey && known:
		w.secretKey(f, s)
	case text == nixFile && w.f.format == FormatNix:
		w.nixFile(f)
	case text == roleToken && known:
		w.roleVariable(f, s)
	default:
		w.decideLegacy(f)
	}
}

func (w *rewriter) bytes(s Span) string { return string(w.f.raw[s.Start:s.End]) }

// inName finds a name within a longer one: --set gitlab-runner.runnerRegistrationToken.
func (w *rewriter) inName(s Span, name string) (Span, bool) {
	text := w.bytes(s)
	if text != name && !strings.HasSuffix(text, "."+name) {
		return Span{}, false
	}
	return Span{s.End - len(name), s.End}, true
}

// sibling is the field of a name beside another one.
func (w *rewriter) sibling(s site, name string) (site, bool) {
	for _, o := range w.f.sites {
		if o.kind == siteField && o.set && o.name.String() == name && beside(o, s) && o.name.span() != s.name.span() {
			return o, true
		}
	}
	return site{}, false
}

// chartValue mends a value of GitLab's chart: runnerToken takes a token of a
// runner that was created, where the chart may also take an existing Secret.
func (w *rewriter) chartValue(f Finding, s site, at Span) {
	c := change{where: f.Where.Start}
	if s.name.at == nil {
		s.path = []string{"?"}
	}
	if _, there := w.sibling(s, runnerValue); there && s.path != nil {
		line, ok := w.ownLine(s)
		if !ok || classOf(s.value.String()) != valueEmpty {
			w.decide(f.Where.Start, "runnerToken and runnerRegistrationToken are both given: keep runnerToken alone, with the glrt- token of a runner made beforehand")
			return
		}
		c.edits = append(c.edits, line)
		w.add(c)
		return
	}
	c.edits = append(c.edits, edited(w.f.raw, at, runnerValue))
	attributes := w.chartArguments(s, &c)
	lines := recordLines("its glrt- token is runnerToken, or the key runner-token of the Secret that runners.secret names (with runner-registration-token: \"\")", attributes)
	if !w.said[lines[0]] || len(attributes) > 0 {
		w.said[lines[0]] = true
		c.comment = lines
	}
	w.add(c)
	if secret := w.secretAt(f.Value); !secret.IsZero() {
		w.literal(f.Value, secret)
	}
}

// chartKeys are the values of the chart, below runners, that belong to the record.
var chartKeys = map[string]string{
	"tags": "tag_list", "locked": "locked", "runUntagged": "run_untagged", "maximumTimeout": "maximum_timeout", "paused": "paused", "protected": "access_level", "maintenanceNote": "maintenance_note",
}

// chartArguments turns the server-side values of the chart into comments: with
// runnerToken the pod would not register.
func (w *rewriter) chartArguments(s site, c *change) []string {
	if w.f.format != FormatYAML || s.value.at == nil {
		return nil
	}
	below := append(s.path[:len(s.path):len(s.path)], "runners")
	var attributes []string
	others := 0
	var edits []edit
	for _, o := range w.f.sites {
		if o.kind != siteField || !slices.Equal(o.path, below) {
			continue
		}
		name, server := chartKeys[o.name.String()]
		line, own := w.ownLine(o)
		if !server || !own || classOf(o.value.String()) == valueEmpty {
			others++
			continue
		}
		value := o.value.String()
		if name == "access_level" {
			value = map[bool]string{true: "ref_protected", false: "not_protected"}[value == "true"]
		}
		attributes = append(attributes, fmt.Sprintf("-f %s=%s", name, quotedIf(value)))
		text := strings.TrimSpace(line.old)
		start := line.at.Start + strings.Index(line.old, text)
		edits = append(edits, edited(w.f.raw, Span{start, start + len(text)}, "# "+text))
	}
	if others == 0 {
		return nil // runners would be left without a value
	}
	c.edits = append(c.edits, edits...)
	return attributes
}

func quotedIf(value string) string {
	if strings.ContainsAny(value, " ,;") {
		return `"` + value + `"`
	}
	return value
}

// ownLine is the removal of a field that has its line for itself.
func (w *rewriter) ownLine(s site) (edit, bool) {
	at := s.name.span()
	n := w.f.line(at.Start)
	text := w.f.lineText(n)
	start := w.f.lines[n-1]
	before := strings.Trim(string(w.f.raw[start:at.Start]), " \t\"'")
	end := start + len(text)
	value := s.value.span()
	if s.value.len() > 0 && s.value.at[0] != s.value.at[len(s.value.at)-1] && (value.Start < at.End || value.End > end) {
		return edit{}, false
	}
	if before != "" && before != "-" && before != "export" && !strings.EqualFold(before, "ENV") || bytes.HasSuffix(bytes.TrimRight(text, "\r"), []byte(`\`)) || folded.Match(text) {
		return edit{}, false
	}
	if end < len(w.f.raw) {
		end++
	}
	return edited(w.f.raw, Span{start, end}, ""), true
}

// folded is a line whose value goes on below it.
var folded = lazyregexp.New(`[:=]\s*[|>][-+\d]*\s*$|[:={\[(]\s*$|<<`)

// readByRunner reports a variable that gitlab-runner itself reads: of a container
// with its image, or beside a register without a token.
func (w *rewriter) readByRunner(s site) bool {
	if w.j.silent && !w.j.flagged {
		return true
	}
	return slices.ContainsFunc(s.path, func(part string) bool {
		return strings.HasPrefix(part, "image ") && containerImage.MatchString(part)
	}) && !w.j.flagged
}

var containerImage = lazyregexp.New(`gitlab/gitlab-runner|gitlab-org/gitlab-runner|/gitlab-runner:`)

// variable renames a variable of a container or an environment, and takes out those
// that belong to the record.
func (w *rewriter) variable(f Finding, s site) {
	c := change{where: f.Where.Start}
	if _, there := w.sibling(s, runnerVariable); there {
		w.decide(f.Where.Start, "CI_SERVER_TOKEN and REGISTRATION_TOKEN are both given: keep CI_SERVER_TOKEN alone, with the glrt- token of a runner made beforehand")
		return
	}
	c.edits = append(c.edits, edited(w.f.raw, f.Where, runnerVariable))
	attributes, whole := w.serverVariables(s, &c)
	if !whole {
		w.decideLegacy(f)
		return
	}
	c.comment = w.once(recordLines("its glrt- token is CI_SERVER_TOKEN", attributes))
	w.add(c)
	if secret := w.secretAt(f.Value); !secret.IsZero() {
		w.literal(f.Value, secret)
	}
}

// variableUses renames the variable wherever a script names it.
func (w *rewriter) variableUses(f Finding) {
	c := change{where: f.Where.Start}
	for _, m := range environmentUse.FindAllSubmatchIndex(w.f.raw, -1) {
		if at := (Span{m[2], m[3]}); !within(w.f.comment, m[2]) && !w.covered(at) {
			c.edits = append(c.edits, edited(w.f.raw, at, runnerVariable))
		}
	}
	c.comment = w.once(recordLines("its glrt- token is CI_SERVER_TOKEN", nil))
	w.add(c)
}

// secretKey mends the key of a Secret that the chart reads: the token goes to
// runner-token, and the old key stays, empty, because the chart needs it.
func (w *rewriter) secretKey(f Finding, s site) {
	c := change{where: f.Where.Start, comment: recordLines("its glrt- token is the key runner-token; the chart needs the other key, empty", nil)}
	beside, there := w.sibling(s, runnerKey)
	switch line, own := w.ownLine(s); {
	case there && classOf(beside.value.String()) == valueEmpty && own:
		c.edits = append(c.edits, edited(w.f.raw, s.name.span(), runnerKey), edited(w.f.raw, beside.name.span(), legacyKey))
	case there || !own || w.f.format != FormatYAML:
		w.decide(f.Where.Start, "the key runner-token takes the glrt- token of a runner made beforehand; leave runner-registration-token empty")
		return
	default:
		name := w.bytes(s.name.span())
		head := line.old[:strings.Index(line.old, name)]
		quote := strings.TrimLeft(head, " -\t")
		c.edits = append(c.edits, edited(w.f.raw, s.name.span(), runnerKey), inserted(line.at.Start, strings.Repeat(" ", len(strings.TrimRight(head, quote)))+legacyKey+": \"\"\n"))
	}
	w.add(c)
	if secret := w.secretAt(f.Value); !secret.IsZero() {
		w.literal(f.Value, secret)
	}
}

// registrationAsRun takes a registration token out of where a runner's belongs.
func (w *rewriter) registrationAsRun(f Finding) {
	if secret := w.secretAt(f.Value); !secret.IsZero() {
		w.literal(f.Value, secret)
		return
	}
	w.decideLegacy(f)
}

// decideLegacy says what somebody has to decide where no rewriting is sure.
func (w *rewriter) decideLegacy(f Finding) {
	w.decide(f.Where.Start, decision(f, w.bytes(f.Where)))
}

var plainName = lazyregexp.New(`^[A-Za-z_][\w.-]*$`)

func decision(f Finding, name string) string {
	switch {
	case isSeed(normal(name)):
		return "a server needs no registration token to start with: drop this, and make runners with a user token once it is up (`rekey register`)"
	case strings.Contains(f.Evidence, "resets"):
		return "there is no registration token to reset any more: a runner's own token is reset by POST /runners/ID/reset_authentication_token (`rekey rotate`)"
	case strings.Contains(name, "runner-registration-token"):
		return "the entry is for a registration token: keep the glrt- token of a runner made beforehand, under runner-token, and leave this one empty where the chart needs it"
	case f.Slug == LegacyArgs:
		return "with a glrt- token the arguments for tags, locked, run-untagged, access level, timeout, paused and note belong to the runner's record: set them there and drop them here"
	case strings.Contains(f.Evidence, "/runners"):
		return "POST /runners takes a registration token: POST /user/runners with a user token (create_runner) makes the runner and answers its glrt- token; gitlab-runner unregister takes its manager away"
	case strings.Contains(f.Evidence, "read from GitLab itself"):
		return "instead of reading a registration token, make the runner with a user token (POST /user/runners) and pass on the glrt- token that is answered"
	case strings.Contains(f.Evidence, "standard input"):
		return "register takes no answers by position any more: give --non-interactive, --url, --executor and --token with the glrt- token of a runner made beforehand"
	case strings.HasPrefix(name, "gitlab_runner_registration_token"):
		return "the role takes authentication tokens: set gitlab_runner_registration_token_type to authentication-token, and give each item of gitlab_runner_runners the token of a runner made for it"
	case plainName.MatchString(name):
		return name + " is for a registration token: what reads it has to take the glrt- token of a runner made beforehand (`rekey register`, POST /user/runners, gitlab_user_runner)"
	}
	return "make the runner first (`rekey register`, POST /user/runners, gitlab_user_runner) and pass its glrt- token here"
}
