package iac

import (
	"bytes"
	"slices"
	"strings"

	"rekey/internal/lazyregexp"
)

var (
	// tokenName finds names that speak of tokens, and the option of NixOS that
	// names a file with one.
	tokenName = lazyregexp.New(`[A-Za-z_][A-Za-z0-9_-]*(?:[Tt]oken|TOKEN)[A-Za-z0-9_-]*|registrationConfigFile`)
	assigns   = lazyregexp.New(`^["'\]\)]*[ \t]*(?:=>|:=|\?=|\+=|=|:)[ \t]*`)
	compared  = lazyregexp.New(`^["'\]\)]*[ \t]*(?:==|=~|!=|===)`)

	// phrases stand with a word that their text holds: it is looked for first.
	phrases = []struct {
		what, word string
		re         *lazyregexp.Regexp
	}{
		{"flag", "registration-token", lazyregexp.New(`(?:^|[^A-Za-z0-9_-])(--?registration-token)(?:$|[^A-Za-z0-9_-])`)},
		{"rails", "runners_", lazyregexp.New(`((?:current_application_settings|ApplicationSetting[\w.:()]*|CurrentSettings|settings?|project|group|namespace|Project\.\w+\([^)]*\)|Group\.\w+\([^)]*\)|find_by_full_path\([^)]*\)|\w+)\.(?:re)?(?:set_)?runners_(?:registration_)?token!?)(?:$|[^A-Za-z0-9_])`)},
		{"rails", "runners_registration_token", lazyregexp.New(`(?i)\b(runners_registration_token)\b\s+from\b`)},
		{"reset", "runners", lazyregexp.New(`(runners/reset_registration_token|runnersRegistrationTokenReset)`)},
		{"secret", "runner-registration-token", lazyregexp.New(`(/secrets/runner-registration-token|\.data\.runner-registration-token|data\\?["'\[.]+runner-registration-token)`)},
		{"helm", "runnerregistrationtoken", lazyregexp.New(`(?:^|[^A-Za-z0-9_])(runnerRegistrationToken)=`)},
	}
)

// mentions notes the phrases that tell the registration-token flow in any language.
func (f *file) mentions(v view, _ Format) {
	for _, p := range phrases {
		if !holds(v.text, p.word) {
			continue
		}
		for _, m := range p.re.FindAllSubmatchIndex(v.text, -1) {
			rest := v.sub(m[3], m[3]+400)
			if i := bytes.IndexByte(rest.orig, '\n'); i >= 0 {
				rest = rest.sub(0, i)
			}
			f.see(site{kind: siteMention, name: v.sub(m[2], m[3]), value: rest, text: p.what})
		}
	}
}

// patterns reads a language without a parser of its own, or a text that did not
// parse: names with what is assigned to them, commands, phrases.
func (f *file) patterns(v view, format Format, depth int) {
	v = untemplated(v)
	text := append([]byte(nil), v.text...)
	f.blankComments(v, text, format)
	v = v.masked(text)
	f.names(v, format)
	f.mentions(v, format)
	f.commands(v, format, depth)
	if format == FormatPowerShell {
		f.shouts(v)
	}
	if format == FormatPython || format == FormatRuby || format == FormatScript {
		f.requests(v)
	}
}

// names finds names that speak of tokens, and what is assigned to them.
func (f *file) names(v view, format Format) {
	for _, m := range tokenName.FindAllIndex(v.text, -1) {
		if m[0] > 0 && (v.text[m[0]-1] == '-' || base64url(v.text[m[0]-1])) {
			continue
		}
		name, rest := v.sub(m[0], m[1]), v.sub(m[1], m[1]+600)
		if i := bytes.IndexByte(rest.text, '\n'); i >= 0 {
			rest = rest.sub(0, i)
		}
		if format == FormatMakefile || format == FormatNix {
			if n := strings.TrimRight(name.String(), "-"); len(n) < name.len() {
				name = name.sub(0, len(n))
			}
		}
		sep := assigns.FindIndex(rest.text)
		if sep == nil || compared.Match(rest.text) {
			f.field(name, rest.sub(0, 0), nil, false)
			continue
		}
		value := rest.sub(sep[1], rest.len()).trim()
		f.field(name, firstValue(value), nil, true)
	}
}

// firstValue cuts a value at the end of its expression.
func firstValue(v view) view {
	if v.len() == 0 {
		return v
	}
	if q := v.text[0]; q == '"' || q == '\'' {
		if i := bytes.IndexByte(v.text[1:], q); i >= 0 {
			return v.sub(1, i+1)
		}
	}
	if i := bytes.IndexAny(v.text, ",;"); i >= 0 && !bytes.ContainsAny(v.text[:i], "({[") {
		v = v.sub(0, i)
	}
	v = v.trim()
	if identifier.Match(v.text) && (mixed(v.String()) < 2 || v.len() < 20) {
		return v.sub(0, 0).reference()
	}
	return v.unquote()
}

// identifier is an expression that names something, in most languages.
var identifier = lazyregexp.New(`^[A-Za-z_@$][\w.@$:]*(?:[(\[].*)?$`)

// reference marks a value that is not a literal: its text says so to classOf.
func (v view) reference() view {
	return view{text: []byte("$"), orig: []byte("$"), at: []int32{v.at[0], v.at[0]}}
}

var (
	commandStart = lazyregexp.New(`\bregister\b|--(?:registration-)?token\b|api/v4/runners|[A-Za-z]RegistrationToken=`)
)

// commands finds the words of commands: on a line, or in the brackets of a list.
func (f *file) commands(v view, format Format, depth int) {
	text := append([]byte(nil), v.text...)
	blot(text, continued, ' ')
	for _, m := range continued.FindAllIndex(v.text, -1) {
		fillAll(text[m[0]:m[1]])
	}
	joined := v.masked(text)
	last := -1
	for _, m := range commandStart.FindAllIndex(text, -1) {
		if m[0] < last {
			continue
		}
		start, end := around(text, m[0])
		last = end
		part := joined.sub(start, end)
		flat := append([]byte(nil), part.text...)
		for i, c := range flat {
			if c == '\n' || c == '\r' {
				flat[i] = ' '
			}
		}
		words := splitWords(part.masked(flat))
		for _, w := range words {
			if bytes.ContainsAny(w.val.text, " ") && interesting(w.val.orig) && commandStart.Match(w.val.text) {
				f.nested(w.val.unescape(), "", depth)
			}
		}
		how := "pattern"
		if f.inCode() {
			for i, w := range words {
				if identifier.Match(w.text) {
					words[i].val = w.sub(0, 0).reference()
				}
			}
		}
		if format == FormatPowerShell || format == FormatBatch || format == FormatMakefile {
			how = "shell"
		}
		f.see(site{kind: siteCommand, words: words, text: how, stdin: part, hasIn: piped(words)})
	}
}

// piped reports answers that are printed into register.
func piped(words []word) bool {
	for i, w := range words {
		if w.val.String() == "|" && i > 1 {
			return says(words[i:], "register") && registers(words[i:]) && slices.ContainsFunc(words[:i], speaks)
		}
	}
	return false
}

func fillAll(part []byte) {
	for i := range part {
		part[i] = ' '
	}
}

// around returns the bracketed list that a place stands in, if one opens within a
// page, else its line.
func around(text []byte, at int) (int, int) {
	depth := 0
	for i := at - 1; i >= 0 && at-i < 3000; i-- {
		switch text[i] {
		case ')', ']':
			depth++
		case '(', '[':
			if depth--; depth < 0 {
				if end := closing(text, i); end > at {
					return i + 1, end
				}
				return lineAround(text, at)
			}
		case '{', '}':
			return lineAround(text, at)
		}
	}
	return lineAround(text, at)
}

func closing(text []byte, open int) int {
	depth := 0
	for i := open; i < len(text) && i-open < 6000; i++ {
		switch text[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func lineAround(text []byte, at int) (int, int) {
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	end := bytes.IndexByte(text[at:], '\n')
	if end < 0 {
		return start, len(text)
	}
	return start, at + end
}

var shout = lazyregexp.New(`(?im)^.*\b(Write-(?:Host|Output|Verbose|Information|Warning|Debug)|Console\]::WriteLine)\b.*$`)

// shouts finds what PowerShell prints.
func (f *file) shouts(v view) {
	for _, m := range shout.FindAllSubmatchIndex(v.text, -1) {
		line := v.sub(m[0], m[1])
		f.quiet = append(f.quiet, v.sub(m[2], m[1]).span())
		if bytes.ContainsAny(line.text, "|>") && !bytes.Contains(line.text, []byte("->")) {
			continue
		}
		f.see(site{kind: siteEcho, name: v.sub(m[2], m[3]), value: v.sub(m[2], m[1]), words: variablesIn(v.sub(m[2], m[1]))})
	}
}

var request = lazyregexp.New(`(?i)(?:\.post|\.Post\w*|method["']?\s*[:=]\s*["']post)\b[^\n]*?(api/v4/runners)(?:["'\s?]|/["']|$)`)

// requests finds calls of POST /runners.
func (f *file) requests(v view) {
	for _, m := range request.FindAllSubmatchIndex(v.text, -1) {
		f.see(site{kind: siteMention, name: v.sub(m[2], m[3]), value: v.sub(m[3], m[3]), text: "request"})
	}
}
