package explain_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// dresses are the ways in which a line of the default format is found. The second
// result is false where a line cannot be dressed so.
var dresses = map[string]func(string) (string, bool){
	"padding":          plainDress("   %s   \r\n"),
	"journalctl":       plainDress("Nov 22 11:54:01 build-7.example.com gitlab-runner[1234]: %s"),
	"journalctl iso":   plainDress("2026-11-22T11:54:01+0100 host gitlab-runner[1234]: %s"),
	"journalctl full":  plainDress("Sun 2026-11-22 11:54:01 CET host gitlab-runner[1]: %s"),
	"journalctl unix":  plainDress("1795345000.123456 host gitlab-runner[1]: %s"),
	"journalctl mono":  plainDress("[    5.123456] host gitlab-runner[1]: %s"),
	"rfc3164":          plainDress("<27>Nov  2 11:54:01 host gitlab-runner: %s"),
	"rfc5424":          plainDress(`<27>1 2026-11-22T11:54:01.123Z host gitlab-runner 1234 - [meta sequenceId="7"] %s`),
	"docker -t":        plainDress("2026-11-22T11:54:01.123456789Z %s"),
	"date":             plainDress("2026-11-22 11:54:01 %s"),
	"compose":          plainDress("gitlab-runner-1  | %s"),
	"kubectl --prefix": plainDress("[pod/gitlab-runner-7f9c-abcde/gitlab-runner] %s"),
	"kubectl both":     plainDress("[pod/gitlab-runner-7f9c-abcde/gitlab-runner] 2026-11-22T11:54:01.123456789Z %s"),
	"CRI":              plainDress("2026-11-22T11:54:01.123456789+01:00 stderr F %s"),
	"grep":             plainDress("/var/log/gitlab-runner.log:17:%s"),
	"quoted":           plainDress("> %s"),
	"colours":          coloured("\x1b[31;1m", "\x1b[0;m"),
	"rsyslog colours":  coloured("#033[31;1m", "#033[0;m"),
	"cat -v colours":   coloured("^[[31;1m", "^[[0;m"),
	"lost escapes":     coloured("[31;1m", "[0;m"),
	"utf-16": func(line string) (string, bool) {
		return "\xff\xfe" + strings.Join(strings.Split(line, ""), "\x00") + "\x00", isASCII(line)
	},
	"invalid utf-8": plainDress("%s \xff\xfe\x80"),
	"text format":   textFormat,
	"json format":   jsonFormat,
	"docker json-file": func(line string) (string, bool) {
		return marshal(map[string]any{"log": line + "\n", "stream": "stderr", "time": "2026-11-22T11:54:01Z"}), true
	},
	"journalctl json": func(line string) (string, bool) {
		return marshal(map[string]any{"MESSAGE": line, "_HOSTNAME": "h"}), true
	},
	"journalctl bytes": journalBytes,
	"json behind a tag": func(line string) (string, bool) {
		j, ok := jsonFormat(line)
		return "Nov 22 11:54:01 h gitlab-runner[1]: " + j, ok
	},
	"curly quotes": func(line string) (string, bool) {
		return strings.NewReplacer("'", "’", "...", "…").Replace(line), !strings.Contains(line, "=couldn't")
	},
}

func plainDress(format string) func(string) (string, bool) {
	return func(line string) (string, bool) { return fmt.Sprintf(format, line), true }
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
}

var key = regexp.MustCompile(` ([a-z_-]+)=`)

func coloured(on, off string) func(string) (string, bool) {
	return func(line string) (string, bool) {
		return on + key.ReplaceAllString(line, off+" "+on+"$1"+off+"="), key.MatchString(line)
	}
}

// taken takes a default line apart, for the two other formats.
func taken(line string) (level, msg string, fields [][2]string) {
	level = "info"
	if word, rest, ok := strings.Cut(line, ": "); ok && word == strings.ToUpper(word) && len(word) < 8 {
		level, line = strings.ToLower(word), rest
	}
	at := key.FindAllStringSubmatchIndex(line, -1)
	msg = line
	for i, f := range at {
		end := len(line)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		if i == 0 {
			msg = line[:f[0]]
		}
		fields = append(fields, [2]string{line[f[2]:f[3]], strings.TrimSpace(line[f[1]:end])})
	}
	return level, strings.TrimSpace(msg), fields
}

func textFormat(line string) (string, bool) {
	level, msg, fields := taken(line)
	out := fmt.Sprintf(`time="2026-11-22T11:54:01+01:00" level=%s msg=%q`, level, msg)
	for _, f := range fields {
		out += fmt.Sprintf(" %s=%q", f[0], f[1])
	}
	return out, logged(line)
}

func jsonFormat(line string) (string, bool) {
	level, msg, fields := taken(line)
	doc := map[string]any{"level": level, "msg": msg, "time": "2026-11-22T11:54:01+01:00"}
	for _, f := range fields {
		doc[f[0]] = f[1]
	}
	return marshal(doc), logged(line)
}

// logged tells lines of the logger from what a person pasted without its line.
func logged(line string) bool { return !strings.HasPrefix(line, "status=") }

func journalBytes(line string) (string, bool) {
	var list []int
	for _, b := range []byte("\x1b[31;1m" + line + "\x1b[0;m") {
		list = append(list, int(b))
	}
	return marshal(map[string]any{"MESSAGE": list}), true
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
