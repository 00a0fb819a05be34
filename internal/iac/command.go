package iac

import (
	"bytes"
	"slices"
	"strings"

	"rekey/internal/lazyregexp"
)

var (
	runnerProgram = lazyregexp.New(`(?i)(?:^|[/\\])gitlab-(?:ci-multi-)?runner(?:[-_.\w]*)?(?:\.exe)?$|gitlab/gitlab-runner|gitlab-org/gitlab-runner|gitlab-runner(?::|@)[\w.\-$]+$|^\$\{?\(?[\w:]*(?:runner|glr)[\w:]*\)?\}?$|^\$\{?(?:env:)?\w*runner\w*(?:exe|bin|path|cmd)\w*\}?$`)
	otherProgram  = lazyregexp.New(`(?i)act_runner|forgejo|gitea|config\.(?:sh|cmd)$|github|azp|vsts|cml-runner|^cml$|woodpecker|drone|buildkite|kubeadm|^kubectl$|^helm$|teamcity|actions-runner`)
)

// flag is one flag of a command with its value.
type flag struct {
	name  string // without dashes
	where view
	value view
	given bool // a value was written
}

// registers reports a call of gitlab-runner register.
func registers(words []word) bool {
	for i, w := range words {
		if w.val.String() == "register" {
			if i == 0 {
				return true
			}
			for _, before := range words[:i] {
				if runnerProgram.MatchString(before.val.String()) || strings.HasSuffix(before.val.String(), "/entrypoint") {
					return true
				}
			}
		}
	}
	return false
}

// registersNext reports register right behind the program, as commands are shown.
func registersNext(words []word) bool {
	for i, w := range words {
		if w.val.String() == "register" && i > 0 && runnerProgram.MatchString(words[i-1].val.String()) {
			return true
		}
	}
	return false
}

func says(words []word, text string) bool {
	return slices.ContainsFunc(words, func(w word) bool { return w.val.String() == text })
}

// foreign reports the runner of another product.
func foreign(words []word) bool {
	for _, w := range words {
		text := w.val.String()
		if strings.HasPrefix(text, "-") || runnerProgram.MatchString(text) {
			return false
		}
		if otherProgram.MatchString(text) && len(text) < 200 {
			return text != "kubectl" && text != "helm"
		}
	}
	return false
}

// flagsOf reads the flags among words: --name=value, --name value, -n value.
func flagsOf(words []word) []flag {
	var found []flag
	for i, w := range words {
		text := w.val.text
		if len(text) < 2 || text[0] != '-' || bytes.ContainsAny(text, " \n") && !bytes.Contains(text, []byte("=")) {
			continue
		}
		dashes := 1
		if text[1] == '-' {
			dashes = 2
		}
		one := flag{where: w.val}
		name := string(text[dashes:])
		if eq := strings.IndexByte(name, '='); eq >= 0 {
			one.name, one.given = name[:eq], true
			one.where = w.val.sub(0, dashes+eq)
			one.value = w.val.sub(dashes+eq+1, w.val.len()).unquote()
		} else {
			one.name = name
			if i+1 < len(words) && !isFlag(words[i+1].val) {
				one.value, one.given = words[i+1].val, true
			} else {
				one.value = w.val.sub(w.val.len(), w.val.len())
			}
		}
		found = append(found, one)
	}
	return found
}

var flagWord = lazyregexp.New(`^--?[a-z][a-z-]*(?:=|$)`)

func isFlag(v view) bool { return flagWord.Match(v.text) }

// reserved reports a flag that gitlab-runner refuses beside a token of a created
// runner, as its register command checks them: values that say nothing pass.
func (f flag) reserved() bool {
	if !serverArguments[f.name] {
		return false
	}
	return tells(f.name, f.value.String(), f.given)
}

// tells reports whether the value of a server-side argument says anything.
func tells(name, value string, given bool) bool {
	value = strings.ToLower(strings.Trim(value, `"' `))
	switch name {
	case "locked":
		return value == "false" || references.MatchString(value)
	case "run-untagged", "paused":
		return value != "false"
	case "maximum-timeout":
		return value != "0"
	}
	return given && value != ""
}

var (
	runnersURL = lazyregexp.New(`api/v4/runners/?(?:\?.*)?["']?$`)
	writing    = lazyregexp.New(`(?i)^(?:-X|--request=?|-Method|-XPOST|-XDELETE)?(?:post|delete)$|^-X(?:POST|DELETE)$`)
	tokenForm  = lazyregexp.New(`^(?:-d|-F|--data=|--form=)?["'{]*\s*token["']?\s*[=:]`)
	argument   = lazyregexp.New(`^(?:--?[\w-]+=)?["']?([A-Za-z_][\w.\-\\]*)=(.*)$`)
)

// requestOf returns the word with the address of POST or DELETE /runners, by
// which a runner is registered and taken away.
func requestOf(words []word) (view, bool) {
	var url view
	found, writes, form := false, false, false
	for i, w := range words {
		text := strings.Trim(w.val.String(), `"'`)
		if runnersURL.MatchString(text) {
			at := strings.Index(w.val.String(), "api/v4/runners")
			url, found = w.val.sub(at, at+len("api/v4/runners")), true
			form = form || strings.Contains(text, "?token=") || strings.Contains(text, "&token=")
		}
		if writing.MatchString(text) && (i == 0 || !strings.Contains(text, "/")) {
			writes = true
		}
		form = form || tokenForm.MatchString(text) || strings.Contains(text, `"token"`)
	}
	return url, found && (form || writes)
}
