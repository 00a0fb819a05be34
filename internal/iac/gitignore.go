package iac

import (
	"bytes"
	"path"
	"strings"
)

// ignoreRule is one line of a .gitignore.
type ignoreRule struct {
	parts    []string // the pattern, split at slashes
	anchored bool     // it holds for the folder of its file only
	folder   bool     // it is for folders only
	negated  bool
}

// ignoreList is the rules of one folder and of those above it, the nearest last.
type ignoreList struct {
	above *ignoreList
	dir   string // "" for the root of the walk
	rules []ignoreRule
	// tracked is what git tracks below the folder where a walk or a repository
	// begins; at is that folder, as dir.
	tracked map[string]bool
	at      string
}

func parseIgnore(text []byte) []ignoreRule {
	var rules []ignoreRule
	for line := range bytes.Lines(text) {
		if rule, ok := parseIgnoreLine(strings.TrimRight(string(line), "\r\n")); ok {
			rules = append(rules, rule)
		}
	}
	return rules
}

func parseIgnoreLine(line string) (ignoreRule, bool) {
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	if line == "" || line[0] == '#' {
		return ignoreRule{}, false
	}
	rule := ignoreRule{}
	if line[0] == '!' {
		rule.negated, line = true, line[1:]
	}
	line = strings.TrimPrefix(line, `\`)
	if strings.HasSuffix(line, "/") {
		rule.folder, line = true, strings.TrimRight(line, "/")
	}
	rule.anchored = strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return rule, false
	}
	rule.parts = strings.Split(line, "/")
	return rule, true
}

// ignored reports what the rules say of name, a path below the root of the walk.
// What git tracks is not ignored, nor a folder that holds such a file.
func (l *ignoreList) ignored(name string, folder bool) bool {
	return l.named(name, folder) && !l.kept(name, folder)
}

func (l *ignoreList) kept(name string, folder bool) bool {
	for ; l != nil; l = l.above {
		rest := name
		if l.at != "" {
			rest = strings.TrimPrefix(name, l.at+"/")
		}
		if folder {
			rest += "/"
		}
		if l.tracked[rest] {
			return true
		}
	}
	return false
}

func (l *ignoreList) named(name string, folder bool) bool {
	for ; l != nil; l = l.above {
		rest := name
		if l.dir != "" {
			var inside bool
			if rest, inside = strings.CutPrefix(name, l.dir+"/"); !inside {
				continue
			}
		}
		for i := len(l.rules) - 1; i >= 0; i-- {
			if rule := l.rules[i]; rule.matches(rest, folder) {
				return !rule.negated
			}
		}
	}
	return false
}

func (r ignoreRule) matches(name string, folder bool) bool {
	if r.folder && !folder {
		return false
	}
	if !r.anchored {
		ok, _ := path.Match(r.parts[0], path.Base(name))
		return ok || r.parts[0] == "**"
	}
	return matchParts(r.parts, strings.Split(name, "/"))
}

// matchParts matches folder by folder; ** stands for any number of them.
func matchParts(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			if len(pattern) == 1 {
				return len(name) > 0
			}
			for i := range len(name) + 1 {
				if matchParts(pattern[1:], name[i:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, _ := path.Match(pattern[0], name[0]); !ok {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}

// excluder matches the globs of --exclude against a path, whole or its last name.
func excluder(globs []string) func(name string, folder bool) bool {
	var rules []ignoreRule
	for _, g := range globs {
		if rule, ok := parseIgnoreLine(g); ok {
			rules = append(rules, rule)
		}
	}
	list := &ignoreList{rules: rules}
	return list.ignored
}
