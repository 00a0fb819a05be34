package iac

import (
	"bytes"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// literal takes a token out of the text and puts a reference there that the format
// knows: a variable, an environment, or nothing where it has none.
func (w *rewriter) literal(at Span, token rekey.Token) {
	if token.IsZero() || w.covered(at) {
		return
	}
	variable := variableFor(token)
	registers := token.Kind() == rekey.TokenRegistration || w.registers(at)
	name, _ := w.assigned(at)
	seed := isSeed(normal(name))
	if seed {
		variable = "GITLAB_INITIAL_REGISTRATION_TOKEN"
	}
	switch in := w.innermost(at.Start).format; {
	case name == legacyVariable:
		variable = runnerVariable
	case upperName.MatchString(name) && (in == FormatShell || in == FormatYAML || in == FormatDotenv || in == FormatDockerfile):
		variable = name // the environment can give it under its own name
	}
	c := change{where: at.Start, token: token, keep: !registers}
	c.edits = w.reference(at, variable)
	lines := w.keep(token, w.calledIn(c.edits, variable, name), registers, seed)
	if !w.said[lines[0]] {
		w.said[lines[0]] = true
		c.comment = lines
	}
	w.add(c)
}

// variableFor is the environment variable that a token of a kind is given in. A
// registration token gives way to the token of a runner.
func variableFor(token rekey.Token) string {
	switch token.Kind() {
	case rekey.TokenPersonal:
		return "GITLAB_TOKEN"
	case rekey.TokenDeploy:
		return "GITLAB_DEPLOY_TOKEN"
	case rekey.TokenTrigger:
		return "GITLAB_TRIGGER_TOKEN"
	case rekey.TokenJob:
		return "CI_JOB_TOKEN"
	}
	return "GITLAB_RUNNER_TOKEN"
}

// calledIn is what the place of a literal is called now, "" for nothing.
func (w *rewriter) calledIn(edits []edit, variable, name string) string {
	put := edits[0].new
	small := strings.ToLower(variable)
	switch {
	case strings.Contains(put, "vault_"+small):
		return "vault_" + small
	case strings.Contains(put, "var."+small):
		return "TF_VAR_" + small
	case strings.Contains(put, variable), w.f.format == FormatDotenv:
		return variable
	case strings.HasSuffix(w.f.path, ".tfvars"):
		return "TF_VAR_" + name
	}
	return ""
}

// registers reports a literal that was found as a registration token by its place.
func (w *rewriter) registers(at Span) bool {
	return slices.ContainsFunc(w.found, func(f Finding) bool {
		return f.Where == at && strings.Contains(f.Evidence, "used as a registration token")
	})
}

func (w *rewriter) keep(token rekey.Token, variable string, registers, seed bool) []string {
	put := "put the new one here out of a secret store, at run time"
	if variable != "" {
		put = "give " + variable + " the new one out of a secret store"
	}
	switch {
	case seed:
		return []string{"a token stood here and stays in git's history: whoever reads it can register runners; " + put + ", or drop the setting"}
	case registers:
		return []string{"a registration token stood here; make a runner, and " + strings.Replace(put, "the new one", "its glrt- token", 1)}
	case w.o.Reference != "" && variable != "":
		return []string{"the token is kept at " + w.o.Reference + ": " + variable + `="$(rekey secret get ` + w.o.Reference + `)"; rotate it, for it stays in git's history`}
	case w.o.Reference != "":
		return []string{"the token is kept at " + w.o.Reference + " (rekey secret get); rotate it, for it stays in git's history"}
	}
	return []string{"a token stood here and stays in git's history: rotate it (`rekey rotate`), and " + put}
}

// innermost is the text in which a place stands, the deepest one.
func (w *rewriter) innermost(at int) text {
	in := text{format: w.f.format}
	for _, t := range w.f.texts {
		if s := t.v.span(); at >= s.Start && at < s.End && t.depth >= in.depth && (t.depth == 0 || bytes.ContainsAny(bytes.TrimSpace(t.v.text), " \t\n")) {
			in = t // one word is a value and no script
		}
	}
	return in
}

// reference replaces a literal.
func (w *rewriter) reference(at Span, variable string) []edit {
	if within(w.f.comment, at.Start) {
		return []edit{edited(w.f.raw, at, "REDACTED")}
	}
	in := w.innermost(at.Start)
	nested := in.depth > 0
	block := bytes.IndexByte(in.v.text, '\n') >= 0
	switch in.format {
	case FormatShell:
		return w.inShell(at, variable, nested, block)
	case FormatPowerShell:
		return w.quotedAs(at, "$env:"+variable, "'", `"`)
	case FormatBatch:
		return []edit{edited(w.f.raw, at, "%"+variable+"%")}
	case FormatMakefile:
		if bytes.HasPrefix(w.f.lineText(w.f.line(at.Start)), []byte("\t")) {
			return []edit{edited(w.f.raw, at, "$$"+variable)}
		}
		return []edit{edited(w.f.raw, at, "$("+variable+")")}
	case FormatHCL:
		return w.inHCL(at, variable)
	case FormatYAML:
		return w.inYAML(at, variable, nested)
	case FormatTOML:
		return []edit{edited(w.f.raw, at, "${"+variable+"}")}
	case FormatPython:
		return w.expression(at, `os.environ["`+variable+`"]`)
	case FormatRuby:
		return w.expression(at, `ENV.fetch("`+variable+`")`)
	case FormatScript:
		return w.expression(at, "process.env."+variable)
	case FormatPuppet:
		return w.expression(at, "lookup('"+strings.ToLower(variable)+"')")
	}
	if in.format == FormatJSON && strings.HasSuffix(w.f.path, ".tf.json") {
		return []edit{edited(w.f.raw, at, "${var."+strings.ToLower(variable)+"}")}
	}
	return w.empty(at)
}

// empty leaves nothing where the literal was all of a value, and what tells itself
// to be replaced where it was a part.
func (w *rewriter) empty(at Span) []edit {
	if w.alone(at) {
		return []edit{edited(w.f.raw, at, "")}
	}
	return []edit{edited(w.f.raw, at, "REPLACE_ME")}
}

// alone reports a literal that is the whole of its value.
func (w *rewriter) alone(at Span) bool {
	if w.quoted(at) {
		return true
	}
	for _, s := range w.f.sites {
		if s.kind == siteField && s.value.at != nil && s.value.span() == at {
			return true
		}
	}
	return false
}

// inShell refers to the environment. Terraform would take ${…} for its own.
func (w *rewriter) inShell(at Span, variable string, nested, block bool) []edit {
	text := "${" + variable + ":?}"
	if w.f.format == FormatHCL || strings.Contains(w.f.path, ".tftpl") || strings.Contains(w.f.path, ".tpl") || w.f.format == FormatDockerfile {
		text = "$" + variable
	}
	if w.f.format == FormatYAML && nested && w.dialect() == dialectAnsible {
		text = "{{ vault_" + strings.ToLower(variable) + " }}"
	}
	if nested && !block {
		return w.quotedAs(at, text, "'", `"`)
	}
	before, after := byte(0), byte(0)
	if at.Start > 0 && at.End < len(w.f.raw) {
		before, after = w.f.raw[at.Start-1], w.f.raw[at.End]
	}
	switch {
	case before == '\'' && after == '\'':
		return []edit{edited(w.f.raw, Span{at.Start - 1, at.End + 1}, `"`+text+`"`)}
	case blank(before) && (after == 0 || blank(after)):
		return []edit{edited(w.f.raw, at, `"`+text+`"`)}
	}
	return []edit{edited(w.f.raw, at, text)}
}

var upperName = lazyregexp.New(`^[A-Z][A-Z0-9_]*$`)

// assigned is the name that a literal is the value of.
func (w *rewriter) assigned(at Span) (string, bool) {
	for _, s := range w.f.sites {
		if s.kind == siteField && s.value.at != nil && s.value.len() > 0 && s.value.span() == at {
			return s.name.String(), true
		}
	}
	return "", false
}

// quotedAs puts text between the quotes that let a variable in.
func (w *rewriter) quotedAs(at Span, text, closed, open string) []edit {
	if w.quoted(at) && string(w.f.raw[at.End:at.End+1]) == closed && w.innermost(at.Start-1).v.len() == w.innermost(at.Start).v.len() {
		return []edit{edited(w.f.raw, Span{at.Start - 1, at.End + 1}, open+text+open)}
	}
	return []edit{edited(w.f.raw, at, text)}
}

// expression replaces a string with what reads it; a part of a string is left to
// be replaced.
func (w *rewriter) expression(at Span, text string) []edit {
	if !w.quoted(at) {
		return []edit{edited(w.f.raw, at, "REPLACE_ME")}
	}
	edits := []edit{edited(w.f.raw, Span{at.Start - 1, at.End + 1}, text)}
	if strings.HasPrefix(text, "os.") && !importsOS.Match(w.f.raw) {
		if m := firstImport.FindIndex(w.f.raw); m != nil {
			edits = append(edits, inserted(m[0], "import os\n"))
		} else {
			return []edit{edited(w.f.raw, at, "REPLACE_ME")}
		}
	}
	return edits
}

var (
	importsOS   = lazyregexp.New(`(?m)^import (?:[\w, ]*\b)?os\b`)
	firstImport = lazyregexp.New(`(?m)^(?:import|from) \w`)
)

// The dialects of YAML, by who reads it.
type dialect int

const (
	dialectPlain dialect = iota
	dialectAnsible
	dialectCompose
	dialectPipeline
	dialectKubernetes
)

var (
	ansibleText  = lazyregexp.New(`(?m)^\s*-?\s*(?:hosts|tasks|roles|become|gather_facts|ansible\.builtin\.\w+|include_role|import_role|gitlab_runner_\w+):`)
	ansiblePath  = lazyregexp.New(`(?:^|/)(?:tasks|defaults|vars|group_vars|host_vars|handlers|playbooks?|roles)/|ansible`)
	composeText  = lazyregexp.New(`(?m)^services:`)
	kubeText     = lazyregexp.New(`(?m)^apiVersion:`)
	pipelineText = lazyregexp.New(`(?m)^(?:stages|before_script|jobs|on):|^\s+(?:script|before_script):`)
)

func (w *rewriter) dialect() dialect {
	switch {
	case composeText.Match(w.f.raw):
		return dialectCompose
	case kubeText.Match(w.f.raw):
		return dialectKubernetes
	case strings.Contains(w.f.path, "gitlab-ci") || strings.Contains(w.f.path, ".github/") || pipelineText.Match(w.f.raw):
		return dialectPipeline
	case ansibleText.Match(w.f.raw) || ansiblePath.MatchString(w.f.path):
		return dialectAnsible
	}
	return dialectPlain
}

func (w *rewriter) inYAML(at Span, variable string, nested bool) []edit {
	quoted := w.quoted(at)
	text := ""
	switch w.dialect() {
	case dialectAnsible:
		if text = "{{ vault_" + strings.ToLower(variable) + " }}"; !quoted && !nested && w.begins(at) {
			text = `"` + text + `"`
		}
	case dialectCompose:
		text = "${" + variable + ":?}"
	case dialectPipeline:
		// a variable cannot stand for itself; one of the project's settings goes before
		if text = "$" + variable; w.defines(at, variable) {
			text = map[bool]string{true: "", false: `""`}[quoted]
		}
	default:
		if !quoted && w.alone(at) && !nested {
			text = `""`
		} else if !w.alone(at) {
			text = "REPLACE_ME"
		}
	}
	return []edit{edited(w.f.raw, at, text)}
}

// defines reports a literal that is the value of the variable itself, also by the
// name that it gets.
func (w *rewriter) defines(at Span, variable string) bool {
	name, ok := w.assigned(at)
	return ok && (name == variable || name == legacyVariable && variable == runnerVariable)
}

// begins reports whether a literal is the first of its value.
func (w *rewriter) begins(at Span) bool {
	before := bytes.TrimRight(w.f.raw[:at.Start], " \t")
	return bytes.HasSuffix(before, []byte(":")) || bytes.HasSuffix(before, []byte("-"))
}
