package iac

import (
	"bytes"
	"regexp"
	"strings"

	"rekey/internal/lazyregexp"
)

var (
	dotenvLine  = lazyregexp.New(`^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*[=:]\s*(.*?)\s*$`)
	tomlTable   = lazyregexp.New(`^\s*\[{1,2}\s*([\w."'-]+)\s*\]{1,2}`)
	tomlKey     = lazyregexp.New(`^\s*["']?([A-Za-z_][\w-]*)["']?\s*=\s*(.*?),?\s*$`)
	instruction = lazyregexp.New(`(?i)^\s*(?:ONBUILD\s+)?(RUN|CMD|ENTRYPOINT|ENV|ARG|LABEL|SHELL|HEALTHCHECK)\s+`)
	pair        = lazyregexp.New(`([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)`)
	runFlag     = lazyregexp.New(`^\s*--\w+(?:=\S+)?\s+`)
)

// eachLine calls do with every line of v.
func (v view) eachLine(do func(line view)) {
	for i := 0; i < v.len(); {
		end := v.len()
		if n := bytes.IndexByte(v.text[i:], '\n'); n >= 0 {
			end = i + n
		}
		do(v.sub(i, end))
		i = end + 1
	}
}

// dotenv reads NAME=VALUE lines.
func (f *file) dotenv(v view) {
	text := append([]byte(nil), v.text...)
	f.hashComments(v, text)
	v = untemplated(v.masked(text))
	v.eachLine(func(line view) {
		if m := dotenvLine.FindSubmatchIndex(line.text); m != nil {
			f.field(line.sub(m[2], m[3]), line.sub(m[4], m[5]).unquote(), nil, true)
		}
	})
	f.mentions(v, FormatDotenv)
}

// toml reads a config of gitlab-runner, or a template of one, line by line: a
// template seldom is TOML.
func (f *file) toml(v view) {
	text := append([]byte(nil), v.text...)
	f.hashComments(v, text)
	v = unterraformed(untemplated(v.masked(text)))
	table := ""
	v.eachLine(func(line view) {
		if m := tomlTable.FindSubmatch(line.text); m != nil {
			table = string(m[1])
			return
		}
		if m := tomlKey.FindSubmatchIndex(line.text); m != nil {
			f.field(line.sub(m[2], m[3]), line.sub(m[4], m[5]).trim().unquote(), []string{table}, true)
		}
	})
	f.mentions(v, FormatTOML)
}

// dockerfile reads the instructions that run something or set a variable.
func (f *file) dockerfile(v view, depth int) {
	text := append([]byte(nil), v.text...)
	f.lineComments(v, text, "#")
	v = v.masked(text)
	for i := 0; i < v.len(); {
		end := instructionEnd(v, i)
		f.instruction(v.sub(i, end), depth)
		i = end + 1
	}
	f.mentions(v, FormatDockerfile)
}

var heredocMark = lazyregexp.New(`<<-?\s*["']?(\w+)["']?`)

// instructionEnd finds the end of an instruction: its line, those that continue
// it, and its heredoc.
func instructionEnd(v view, start int) int {
	end := start
	for {
		n := bytes.IndexByte(v.text[end:], '\n')
		if n < 0 {
			return v.len()
		}
		line := bytes.TrimRight(v.text[end:end+n], " \t\r")
		end += n
		if m := heredocMark.FindSubmatch(line); m != nil {
			if at := regexp.MustCompile(`(?m)^\s*` + string(m[1]) + `\s*$`).FindIndex(v.text[end:]); at != nil {
				return end + at[1]
			}
		}
		if len(bytes.TrimSpace(line)) > 0 && !bytes.HasSuffix(line, []byte(`\`)) && !bytes.HasSuffix(line, []byte("`")) {
			return end
		}
		if end+1 >= v.len() {
			return v.len()
		}
		end++
	}
}

func (f *file) instruction(v view, depth int) {
	m := instruction.FindSubmatchIndex(v.text)
	if m == nil {
		return
	}
	word, rest := strings.ToUpper(string(v.text[m[2]:m[3]])), v.sub(m[1], v.len())
	switch word {
	case "ENV", "ARG", "LABEL":
		f.setting(rest)
		return
	}
	for {
		flag := runFlag.FindIndex(rest.text)
		if flag == nil {
			break
		}
		rest = rest.sub(flag[1], rest.len())
	}
	if trimmed := rest.trim(); trimmed.len() > 0 && trimmed.text[0] == '[' {
		f.see(site{kind: siteCommand, words: splitWords(trimmed.sub(1, max(1, trimmed.len()-1))), text: "shell"})
		return
	}
	if interesting(rest.orig) {
		f.read(rest, FormatShell, depth+1)
	}
}

// setting reads ENV A=b C=d and the older ENV A b.
func (f *file) setting(v view) {
	pairs := pair.FindAllSubmatchIndex(v.text, -1)
	for _, m := range pairs {
		f.field(v.sub(m[2], m[3]), v.sub(m[4], m[5]).unquote(), nil, true)
	}
	if len(pairs) == 0 {
		name, value, found := bytes.Cut(v.text, []byte(" "))
		if found {
			f.field(v.sub(0, len(name)), v.sub(len(name)+1, len(name)+1+len(value)).trim().unquote(), nil, true)
		}
	}
}
