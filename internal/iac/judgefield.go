package iac

import (
	"slices"
	"strings"

	"rekey/internal/lazyregexp"
)

// field judges a name with what is given to it.
func (j *judge) field(name, value view, path []string, set, argument bool) {
	n := normal(name.String())
	if otherProducts.MatchString(n) || slices.ContainsFunc(path, otherPath) {
		return
	}
	switch {
	case isSeed(n):
		j.seed(name, value, set)
	case n == "registration_config_file" && strings.Contains(value.String(), "mkOption"): // the option's own definition
	case n == "registration_config_file" && set:
		j.legacy(name, value, "`registrationConfigFile`, the file that NixOS takes a registration token from", false)
	case isRegistration(n) && (j.gitlab || strings.Contains(n, "runner_registration_token")):
		j.registration(name, value, n, path, set, argument)
	case isRunnerToken(n) && set && j.gitlab:
		j.runnerField(name, value)
	case n == "token" && slices.Contains(path, "runners") && set && (j.f.format == FormatTOML || j.gitlab):
		j.runnerField(name, value)
	case n == "default" && len(path) > 1 && path[0] == "variable" && isRegistration(normal(path[1])) && j.gitlab:
		j.literal(value, true)
	case n == "gitlab_runner" && len(path) > 0 && path[len(path)-1] == "resource":
		j.legacy(name, value, "the provider resource gitlab_runner, which registers with a registration token", false)
	}
}

var otherImage = lazyregexp.New(`(?i)act_runner|gitea|forgejo|github|actions|woodpecker|drone|azure`)

func otherPath(part string) bool {
	return strings.HasPrefix(part, "image ") && otherImage.MatchString(part)
}

// seed is the name by which a server is given the registration token to start with.
func (j *judge) seed(name, value view, set bool) {
	text := value.String()
	if !set || classOf(text) == valueEmpty {
		return
	}
	j.raise(raised{slug: ServerLegacy, where: name.span(), value: value.span(), evidence: "`" + name.String() + "`, by which a server starts with a registration token"})
	if j.seeded[text] {
		j.legacy(name, value, "a registration token that a server is seeded with", false)
		j.literal(value, true)
	}
}

func (j *judge) registration(name, value view, n string, path []string, set, argument bool) {
	shown := "`" + name.String() + "`"
	text := value.String()
	class := classOf(text)
	switch {
	case !set:
		code := j.f.format == FormatPython || j.f.format == FormatScript
		j.legacy(name, value, shown+", a name of the registration-token flow", !code || j.trial)
		return
	case class == valueEmpty:
		if name.String() == "runnerRegistrationToken" {
			j.legacy(name, value, shown+", left empty: the chart's value for a registration token", false)
		}
		return
	case isGLRT(text):
		j.raise(raised{slug: RunnerInLegacy, where: name.span(), value: value.span(), evidence: "a runner authentication token in " + shown})
	case class == valuePlaceholder && strings.Contains(strings.ToLower(text), "glrt"):
		j.raise(raised{slug: Legacy, where: name.span(), value: value.span(), info: true, evidence: shown + ", with a placeholder that asks for either token"})
	case name.String() == "runner-registration-token" && class == valuePlaceholder:
		j.raise(raised{slug: Legacy, where: name.span(), value: value.span(), info: true, evidence: shown + ", which the chart wants, with a placeholder"})
	default:
		j.legacy(name, value, shown+", which holds a registration token", !argument && (j.leadsUp(name.String(), path) || j.trial && j.f.inCode()))
	}
	if !locates(n) {
		j.literal(value, true)
	}
}

// locates reports a name that says where a token is, not what it is.
func locates(n string) bool {
	return !strings.HasSuffix(n, "token") && !strings.HasSuffix(n, "value") && !strings.HasSuffix(n, "default") && !strings.HasSuffix(n, "plain")
}

// leadsUp reports an assignment that only carries the token to where it is used.
func (j *judge) leadsUp(name string, path []string) bool {
	if name == "REGISTRATION_TOKEN" && j.silent && !j.flagged {
		return false // register reads it by itself
	}
	if name == "runnerRegistrationToken" {
		return false // the chart's own
	}
	switch j.f.format {
	case FormatShell, FormatPowerShell, FormatBatch, FormatMakefile:
		return true
	case FormatHCL:
		return len(path) > 0 && (path[0] == "variable" || path[0] == "locals" && len(path) == 1 || path[0] == "output")
	}
	return false
}

func (j *judge) runnerField(name, value view) {
	text := value.String()
	if strings.HasPrefix(text, "GR1348941") && len(text) > 9 && name.String() != "runners_token" { // GitLab's own name for it
		j.raise(raised{slug: RegistrationAsRun, where: name.span(), value: value.span(), evidence: "a registration token in `" + name.String() + "`"})
	}
	j.literal(value, false)
}

var (
	tokenOutput = lazyregexp.New(`gitlab_(?:user_)?runner\.[\w\[\]".*]+\.(?:authentication_)?token\b|\.runners_token\b|registration_token\b|runner_token\b`)
)

// block judges a block of Terraform by its labels.
func (j *judge) block(s site) {
	switch s.name.String() {
	case "resource":
		if len(s.words) > 0 && s.words[0].val.String() == "gitlab_runner" {
			j.legacy(s.name, s.words[0].val, "the provider resource gitlab_runner, which registers with a registration token", false)
		}
	case "variable":
		if len(s.words) > 0 && j.gitlab && isRegistration(normal(s.words[0].val.String())) {
			j.legacy(s.words[0].val, s.words[0].val, "a variable for a registration token", true)
		}
	case "output":
		j.output(s)
	}
}

func (j *judge) output(s site) {
	sensitive := false
	var value site
	for _, p := range s.parts {
		switch p.name.String() {
		case "sensitive":
			sensitive = p.value.String() == "true"
		case "value":
			value = p
		}
	}
	if value.value.at == nil || !tokenOutput.Match(value.value.orig) || !j.gitlab {
		return
	}
	evidence := "an output that shows a token to everyone who reads the state"
	if sensitive {
		evidence = "an output that keeps a token in the state, though not on the screen"
	}
	j.raise(raised{slug: TokenInState, where: s.name.span(), value: value.value.span(), info: sensitive, evidence: evidence})
}

// together finds what is only wrong side by side: variables of the server beside
// the token of a created runner.
func (j *judge) together() {
	type group struct {
		token, legacy bool
		first         *site
		names         []string
	}
	groups := map[string]*group{}
	for i, s := range j.f.sites {
		if s.kind != siteField || !s.set || s.path == nil || classOf(s.value.String()) == valueEmpty {
			continue
		}
		key := strings.Join(place(s), "\x00")
		g := groups[key]
		if g == nil {
			g = &group{}
			groups[key] = g
		}
		name := s.name.String()
		switch {
		case name == "CI_SERVER_TOKEN":
			g.token = true
		case name == "REGISTRATION_TOKEN":
			g.legacy = true
		case serverVariables[name] && tells(flagOf(name), s.value.String(), true):
			if g.first == nil {
				g.first = &j.f.sites[i]
			}
			g.names = append(g.names, name)
		}
	}
	for _, g := range groups {
		if g.token && !g.legacy && g.first != nil {
			j.raise(raised{slug: LegacyArgs, where: g.first.name.span(), value: g.first.value.span(), evidence: strings.Join(g.names, ", ") + " beside CI_SERVER_TOKEN"})
		}
	}
}

// flagOf is the flag that a variable of gitlab-runner register stands for.
func flagOf(variable string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(variable, "REGISTER_"), "RUNNER_")
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}
