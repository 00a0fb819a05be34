package iac

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// Target is what the audited code is meant for.
type Target struct {
	// GitLab is the version of the server; the zero Version is unknown and taken
	// for one that allows both flows.
	GitLab rekey.Version
	// RegistrationRefused is true where the server was asked and says so.
	RegistrationRefused bool
}

// judge turns what the parsers saw of one file into findings.
type judge struct {
	f       *file
	target  Target
	found   []raised
	gitlab  bool            // the file is about GitLab
	passed  map[string]bool // variables given to a token flag
	seeded  map[string]bool // literals a server is seeded with
	gated   bool            // a branch looks at the token's prefix
	flagged bool            // a token is given by flag
	silent  bool            // a register without any token flag is there
	trial   bool            // the file is a test
}

// raised is a finding under way.
type raised struct {
	slug     Slug
	where    Span
	value    Span
	evidence string
	weak     bool // true of what only leads up to another finding
	info     bool
	text     bool // true of tokens, which count in comments too
	token    rekey.Token
	command  []Span
}

var (
	gate = lazyregexp.New(`(?i)(?:\bif\b|\bcase\b|\bwhen\b|\[\[|elif|elsif|==|=~|-like|-match|startswith|has_?prefix|start_with|\btest\b).*glrt-?|glrt-\*["']?\)|\^glrt`)
)

// aboutGitLab reports a text that speaks of GitLab.
func aboutGitLab(text []byte) bool {
	return holds(text, "gitlab") || holds(text, "ci_server_") || holds(text, "glrt-")
}

// holds reports a word, given in small letters, in whatever letters it is written:
// an expression takes a hundred times as long for a text of a megabyte.
func holds(text []byte, word string) bool {
	first, last := word[0], len(text)-len(word)
	for i := 0; i <= last; i++ {
		if text[i]|0x20 == first && strings.EqualFold(string(text[i:i+len(word)]), word) {
			return true
		}
	}
	return false
}

func (j *judge) prepare() {
	j.passed, j.seeded = map[string]bool{}, map[string]bool{}
	j.gitlab = aboutGitLab([]byte(j.f.path)) || aboutGitLab(j.f.raw)
	j.trial = testFile.MatchString(j.f.path)
	j.gated = bytes.Contains(j.f.raw, []byte("--token")) && holds(j.f.raw, "glrt") && gate.Match(j.f.raw)
	for _, s := range j.f.sites {
		switch s.kind {
		case siteCommand:
			j.learn(s)
		case siteField:
			if isSeed(normal(s.name.String())) && classOf(s.value.String()) >= valuePlaceholder && !changeMe.MatchString(s.value.String()) {
				j.seeded[s.value.String()] = true
			}
		}
	}
}

// testFile is a test of a program: what it registers is a mock.
var testFile = lazyregexp.New(`(?:^|/)(?:spec|tests?|__tests__|testdata)/|_spec\.rb$|(?:^|/)test_[^/]*\.py$|_test\.(?:py|ts|js)$|\.(?:test|spec)\.[jt]s$`)

// inCode reports a programming language, whose tests speak of tokens as examples.
func (f *file) inCode() bool {
	return f.format == FormatPython || f.format == FormatRuby || f.format == FormatScript
}

// changeMe is a seed that nobody would leave as it is.
var changeMe = lazyregexp.New(`(?i)change|replace|your|placeholder|example|xxx|redacted|^<|^\[`)

func (j *judge) learn(s site) {
	if !registers(s.words) {
		return
	}
	named := false
	for _, fl := range flagsOf(s.words) {
		if isTokenFlag(fl.name) {
			named = true
			for _, w := range variablesIn(fl.value) {
				j.passed[w.val.String()] = true
			}
		}
	}
	j.flagged = j.flagged || named
	j.silent = j.silent || !named
}

func isTokenFlag(name string) bool {
	return name == "registration-token" || name == "token" || name == "r" || name == "t"
}

// all judges every site.
func (j *judge) all() []raised {
	j.prepare()
	j.tokens()
	for _, s := range j.f.sites {
		switch s.kind {
		case siteCommand:
			j.command(s)
		case siteField:
			j.field(s.name, s.value, s.path, s.set, false)
		case siteEcho:
			j.echo(s)
		case siteBlock:
			j.block(s)
		case siteMention:
			j.mention(s)
		}
	}
	j.environment()
	j.versions()
	j.together()
	return j.settle()
}

func (j *judge) raise(r raised) { j.found = append(j.found, r) }

func (j *judge) legacy(where, value view, evidence string, weak bool) {
	weak = weak || j.trial && j.f.inCode()
	j.raise(raised{slug: Legacy, where: where.span(), value: value.span(), evidence: evidence, weak: weak, info: j.gated})
}

// tokens finds tokens of known shapes anywhere in the file.
func (j *judge) tokens() {
	for _, s := range sightings(j.f.raw) {
		where := Span{s.start, s.end}
		r := raised{slug: Hardcoded, where: where, value: where, text: true, token: s.token}
		switch {
		case s.broken && s.issued():
			r.slug, r.evidence = BrokenToken, "a routable token whose checksum does not hold"
		case !s.issued():
			r.slug, r.evidence, r.info, r.token = Placeholder, "an example of a "+kindWords(s.token.Kind()), true, rekey.Token{}
		default:
			r.evidence = "a " + kindWords(s.token.Kind())
			if s.encoded {
				r.evidence += " in base64"
			}
			if s.checked {
				r.evidence += "; its checksum holds"
			}
		}
		j.raise(r)
	}
}

func kindWords(k rekey.TokenKind) string {
	switch k {
	case rekey.TokenRunner:
		return "runner authentication token"
	case rekey.TokenRunnerLegacy:
		return "runner authentication token (legacy shape)"
	case rekey.TokenRegistration:
		return "registration token"
	case rekey.TokenPersonal:
		return "personal, project or group access token"
	case rekey.TokenDeploy:
		return "deploy token"
	case rekey.TokenJob:
		return "job token"
	case rekey.TokenTrigger:
		return "pipeline trigger token"
	}
	return "GitLab token"
}

func (j *judge) command(s site) {
	if foreign(s.words) {
		for _, w := range s.words {
			j.f.quiet = append(j.f.quiet, w.span())
		}
		return
	}
	for _, w := range s.words {
		if m := argument.FindSubmatchIndex(w.val.text); m != nil {
			j.arguments(w.val.sub(m[2], w.val.len()))
		}
	}
	if j.f.format == FormatDocument && !registersNext(s.words) {
		return // a sentence
	}
	if url, ok := requestOf(s.words); ok {
		j.legacy(url, url.sub(0, 0), "a call of POST or DELETE /runners, which takes a registration token or a runner away by its token", false)
	}
	flags := flagsOf(s.words)
	registering := registers(s.words) || j.gitlab && looksLikeRegister(flags) && (s.text != "shell" || says(s.words, "register"))
	j.flags(s, flags, registering)
	if registering && s.hasIn && !slices.ContainsFunc(flags, func(f flag) bool { return isTokenFlag(f.name) }) {
		j.legacy(s.words[0].view, s.stdin, "`register` that is given its answers, a token among them, by position on standard input", false)
	}
}

// arguments reads NAME=VALUE arguments, also several with commas between, as helm
// --set takes them.
func (j *judge) arguments(v view) {
	for start := 0; start < v.len(); {
		end := v.len()
		if i := bytes.IndexByte(v.text[start:], ','); i >= 0 && bytes.Contains(v.text[start+i:], []byte("=")) {
			end = start + i
		}
		part := v.sub(start, end)
		if eq := bytes.IndexByte(part.text, '='); eq > 0 {
			j.field(part.sub(0, eq), part.sub(eq+1, part.len()).unquote(), nil, true, true)
		}
		start = end + 1
	}
}

// looksLikeRegister reports flags without a command, as the list in a compose file
// or an array in a script has them.
func looksLikeRegister(flags []flag) bool {
	known := 0
	for _, f := range flags {
		switch f.name {
		case "url", "executor", "non-interactive", "docker-image", "name", "description", "run-untagged", "tag-list", "locked", "registration-token":
			known++
		}
	}
	return known >= 2
}

func (j *judge) flags(s site, flags []flag, registering bool) {
	var spans []Span
	for _, w := range s.words {
		spans = append(spans, w.span())
	}
	legacy := false
	var token *flag
	for i, f := range flags {
		switch {
		case f.name == "registration-token", registering && f.name == "r":
			if !j.gitlab {
				continue
			}
			legacy = true
			j.registrationFlag(f, spans)
		case registering && (f.name == "token" || f.name == "t"):
			token = &flags[i]
			j.tokenFlag(f, spans)
		}
	}
	if token == nil || legacy || !registering || token.value.String() == "" && token.given {
		return
	}
	var names []string
	first := -1
	for i, f := range flags {
		if f.reserved() {
			if first < 0 {
				first = i
			}
			names = append(names, "--"+f.name)
		}
	}
	if first >= 0 {
		j.raise(raised{slug: LegacyArgs, where: flags[first].where.span(), value: flags[first].value.span(), command: spans,
			evidence: strings.Join(names, ", ") + " beside --token"})
	}
}

func (j *judge) registrationFlag(f flag, spans []Span) {
	r := raised{slug: Legacy, where: f.where.span(), value: f.value.span(), command: spans, info: j.gated,
		evidence: "`" + f.where.String() + "` of gitlab-runner register"}
	value := f.value.String()
	if isGLRT(value) {
		r.slug, r.evidence, r.info = RunnerInLegacy, "a runner authentication token given to `"+f.where.String()+"`", false
	}
	j.raise(r)
	j.literal(f.value, true)
}

func (j *judge) tokenFlag(f flag, spans []Span) {
	value := f.value.String()
	if strings.HasPrefix(value, "GR1348941") && len(value) > 9 {
		j.raise(raised{slug: RegistrationAsRun, where: f.where.span(), value: f.value.span(), command: spans, evidence: "a registration token given to `" + f.where.String() + "`"})
	}
	j.literal(f.value, false)
}

var glrtStart = lazyregexp.New(`^["']?(?:[A-Za-z0-9_.]+-)?glrtr?-`)

func isGLRT(value string) bool { return glrtStart.MatchString(value) }

// literal judges a literal without a shape that stands where a token belongs; one
// with a shape was found already. Registration tokens may be any text an
// administrator chose.
func (j *judge) literal(v view, chosen bool) {
	text := v.String()
	if len(text) > longest || bytes.ContainsAny(v.orig, " \n\t") {
		return
	}
	class := classOf(text)
	switch {
	case j.seeded[text]:
	case class == valuePlaceholder:
		j.raise(raised{slug: Placeholder, where: v.span(), value: v.span(), info: true, evidence: "a placeholder where a token belongs"})
		return
	case class != valueLiteral, !chosen && !looksIssued(text), len(sightings(v.orig)) > 0:
		return
	}
	kind := "runner authentication token without a prefix"
	if chosen {
		kind = "registration token"
	}
	j.raise(raised{slug: Hardcoded, where: v.span(), value: v.span(), evidence: "a literal used as a " + kind, token: rekey.NewToken(text)})
}

func (j *judge) mention(s site) {
	switch s.text {
	case "rails":
		if receiver, _, _ := strings.Cut(s.name.String(), "."); !j.gitlab || receiver == "var" || receiver == "local" || receiver == "each" || receiver == "module" {
			return
		}
		j.legacy(s.name, s.value, "the registration token read from GitLab itself", false)
	case "reset":
		j.legacy(s.name, s.value, "the endpoint that resets a registration token", false)
	case "secret":
		if tested(j.f.raw, s.name.span().Start) {
			return
		}
		j.legacy(s.name, s.value, "the key of a Secret that holds a registration token", false)
	case "external":
		j.legacy(s.name, s.value, "an entry of a secret store named for a registration token", false)
	case "request":
		j.legacy(s.name, s.value, "a call of POST /runners, which takes a registration token", false)
	case "flag", "helm":
		if j.gitlab && j.f.format != FormatText && j.f.format != FormatDocument {
			j.legacy(s.name, s.value, "`"+s.name.String()+"` in a text", false)
		}
	}
}

// tested reports a path that a script only looks for: [ -f FILE ].
func tested(raw []byte, at int) bool {
	before := bytes.TrimRight(raw[max(0, at-8):at], "\"' ")
	return bytes.HasSuffix(before, []byte("-f")) || bytes.HasSuffix(before, []byte("-e")) || bytes.HasSuffix(before, []byte("-s")) || bytes.HasSuffix(before, []byte("-r"))
}

func (j *judge) echo(s site) {
	if s.bare {
		return
	}
	for _, w := range s.words {
		name := w.val.String()
		n := normal(name)
		if !j.passed[name] && (!j.gitlab || !isRunnerToken(n) && !isRegistration(n)) {
			continue
		}
		if strings.HasSuffix(n, "_id") || strings.HasSuffix(n, "_name") || strings.HasSuffix(n, "_path") || strings.HasSuffix(n, "_file") {
			continue
		}
		j.raise(raised{slug: TokenInLog, where: w.span(), value: w.span(), text: true, evidence: fmt.Sprintf("`%s` prints the variable %s", s.name.String(), name)})
		return
	}
}

var environmentUse = lazyregexp.New(`(?:\$\{?|\bexport\s+(?:\w+\s+)*|-e\s+|(?m:^\s*))(REGISTRATION_TOKEN)\b`)

// environment finds the variable that `register` reads by itself, where a script
// calls it without any token.
func (j *judge) environment() {
	if !j.silent || j.flagged {
		return
	}
	for _, m := range environmentUse.FindAllSubmatchIndex(j.f.raw, -1) {
		j.raise(raised{slug: Legacy, where: Span{m[2], m[3]}, value: Span{m[2], m[3]}, text: !within(j.f.comment, m[2]), evidence: "REGISTRATION_TOKEN, which `gitlab-runner register` reads from the environment", info: j.gated})
	}
}
