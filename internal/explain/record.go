package explain

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rekey/internal/lazyregexp"
)

// record is a line taken apart. It may hold a token: nothing of it is shown but
// through scrub.
type record struct {
	level, when, message string
	fields               []field
}

type field struct{ key, value string }

// get returns the first field that has one of the keys.
func (r record) get(keys ...string) string {
	for _, k := range keys {
		for _, f := range r.fields {
			if f.key == k {
				return f.value
			}
		}
	}
	return ""
}

// text is the line as the default format would have it, without level.
func (r record) text() string {
	if len(r.fields) == 0 {
		return r.message
	}
	var b strings.Builder
	b.WriteString(r.message)
	for _, f := range r.fields {
		if f.value == "" {
			continue
		}
		b.WriteString(" " + f.key + "=" + f.value)
	}
	return strings.TrimSpace(b.String())
}

// parse reads any of the formats: gitlab-runner's own, text and json, under the
// prefixes of those who collected the line.
func (c *Catalogue) parse(raw string) record { return c.parseAt(raw, 0) }

// deepest is how often a line may be wrapped in another's JSON.
const deepest = 3

func (c *Catalogue) parseAt(raw string, depth int) record {
	line, when := c.unprefix(clean(raw))
	r, ok := record{}, false
	switch {
	case strings.HasPrefix(line, "{") && depth < deepest:
		r, ok = c.parseJSON(line, depth)
	case strings.Contains(line, "msg="):
		r, ok = parseText(line)
	}
	if !ok {
		r = c.parseDefault(line)
	}
	if r.when == "" {
		r.when = when
	}
	return r
}

// parseJSON reads gitlab-runner's json format, and the envelopes of docker,
// journald and others, whose text is parsed in turn.
func (c *Catalogue) parseJSON(line string, depth int) (record, bool) {
	var doc map[string]any
	if json.Unmarshal([]byte(line), &doc) != nil {
		return record{}, false
	}
	for _, key := range []string{"log", "MESSAGE", "textPayload", "message"} {
		if inner := jsonText(doc[key]); inner != "" {
			r := c.parseAt(inner, depth+1)
			if r.when == "" {
				r.when = jsonText(doc["time"])
			}
			return r, true
		}
	}
	r := record{message: squeeze(jsonText(doc["msg"])), level: levelName(jsonText(doc["level"])), when: jsonText(doc["time"])}
	if r.message == "" {
		return record{}, false
	}
	for _, k := range slices.Sorted(maps.Keys(doc)) {
		if k != "msg" && k != "level" && k != "time" {
			r.fields = append(r.fields, field{k, clean(jsonText(doc[k]))})
		}
	}
	return r, true
}

// jsonText writes a value as text; journald writes what is not ASCII as a list of
// bytes.
func jsonText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var b []byte
		for _, x := range v {
			n, ok := x.(float64)
			if !ok || n < 0 || n > 255 {
				return fmt.Sprint(v)
			}
			b = append(b, byte(n))
		}
		return string(b)
	}
	return fmt.Sprint(v)
}

// parseText reads the text format: key=value, quoted where needed.
func parseText(line string) (record, bool) {
	var r record
	found := false
	for line != "" {
		key, rest, ok := strings.Cut(line, "=")
		if !ok || key == "" || strings.ContainsAny(key, ` "`) {
			break
		}
		value, after := textValue(rest)
		line = strings.TrimLeft(after, " ")
		switch key {
		case "msg":
			r.message, found = clean(value), true
		case "level":
			r.level = levelName(value)
		case "time":
			r.when = value
		default:
			r.fields = append(r.fields, field{key, clean(value)})
		}
	}
	if line != "" && found { // an unquoted value, as a person shortens it
		r.message = strings.TrimSpace(r.message + " " + line)
	}
	return r, found
}

func textValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, " ")
		return value, rest
	}
	if quoted, err := strconv.QuotedPrefix(s); err == nil {
		if value, err = strconv.Unquote(quoted); err == nil {
			return value, s[len(quoted):]
		}
	}
	return strings.Trim(s, `"`), ""
}

var (
	fieldStart  = lazyregexp.New(` ([A-Za-z_][A-Za-z0-9_.-]*)=`)
	levelStart  = lazyregexp.New(`^(?:(PANIC|FATAL|ERROR|WARNING|WARN|INFO|DEBUG|TRACE): ?|(PANI|FATA|ERRO|WARN|INFO|DEBU|TRAC)\[[^\]]*\] ?)`)
	levelInside = lazyregexp.New(`(?:PANIC|FATAL|ERROR|WARNING): `)
)

// parseDefault reads the runner's own format: PREFIX: message key=value …, where
// values are not quoted and reach to the next key.
func (c *Catalogue) parseDefault(line string) record {
	var r record
	m := levelStart.FindStringSubmatch(line)
	if m == nil { // a prefix that nobody foresaw
		if at := levelInside.FindStringIndex(line); at != nil && at[0] < 200 {
			line = line[at[0]:]
			m = levelStart.FindStringSubmatch(line)
		}
	}
	if m != nil {
		r.level = levelName(m[1] + m[2])
		line = strings.TrimSpace(line[len(m[0]):])
	}
	at := fieldStart.FindAllStringSubmatchIndex(line, mostFields)
	r.message = line
	if len(at) > 0 {
		r.message = strings.TrimSpace(line[:at[0][0]])
	}
	for i, f := range at {
		end := len(line)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		r.fields = append(r.fields, field{line[f[2]:f[3]], strings.TrimSpace(line[f[1]:end])})
	}
	if strings.HasPrefix(line, "status=") || strings.HasPrefix(line, "error=") {
		key, value, _ := strings.Cut(r.message, "=")
		r.message, r.fields = "", append([]field{{key, value}}, r.fields...)
	}
	return r
}

// mostFields bounds the work on one line.
const mostFields = 64

// levelName writes a level as logrus names it; "" for what is none.
func levelName(text string) string {
	text = strings.ToLower(text)
	for _, name := range []string{"panic", "fatal", "error", "warning", "info", "debug", "trace"} {
		if len(text) >= 4 && strings.HasPrefix(name, text) {
			return name
		}
	}
	return ""
}

// grave reports whether a line of this level wants an explanation.
func (r record) grave() bool {
	return r.level == "error" || r.level == "fatal" || r.level == "panic"
}
