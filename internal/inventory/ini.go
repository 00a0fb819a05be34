package inventory

import (
	"errors"
	"regexp"
	"strings"
)

var header = regexp.MustCompile(`^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:[#;].*)?$`)

// ini reads the form of /etc/ansible/hosts.
func (b *builder) ini(text string) error {
	current, kind := b.group("ungrouped"), "hosts"
	mentioned := map[string]int{} // groups that a line refers to
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' && header.MatchString(line) {
			m := header.FindStringSubmatch(line)
			if kind = m[2]; kind == "" {
				kind = "hosts"
			}
			current = b.group(m[1])
			switch kind {
			case "hosts", "children":
				current.line = number
			case "vars":
				mentioned[m[1]] = number
			default:
				return b.errorf(number, "a section is [GROUP], [GROUP:children] or [GROUP:vars]")
			}
			continue
		}
		if err := b.iniLine(current, kind, line, number, mentioned); err != nil {
			return err
		}
	}
	for name, line := range mentioned {
		if g := b.group(name); g.line == 0 && name != "all" && name != "ungrouped" {
			return b.errorf(line, "the group %s is not defined", name)
		}
	}
	return nil
}

func (b *builder) iniLine(g *group, kind, line string, number int, mentioned map[string]int) error {
	switch kind {
	case "vars":
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return b.errorf(number, "a variable is KEY=VALUE")
		}
		g.vars[strings.TrimSpace(key)] = unquoted(strings.TrimSpace(value))
		return nil
	case "children":
		name := strings.Fields(line)[0]
		b.group(name)
		mentioned[name] = number
		g.children = append(g.children, name)
		return nil
	}
	if line[0] == '[' && !strings.Contains(line, "]") {
		return b.errorf(number, "a [ without a ]")
	}
	words, err := split(line)
	if err != nil {
		return b.errorf(number, "%v", err)
	}
	vars := map[string]string{}
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return b.errorf(number, "behind a host's name stand only KEY=VALUE")
		}
		vars[key] = value
	}
	return b.add(g, words[0], number, vars)
}

func unquoted(text string) string {
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return text[1 : n-1]
	}
	return text
}

// split cuts a line into words as a shell would, without its comment. There is at
// least one.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, open := byte(0), false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			open = true
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, open = c, true
		case c == ' ' || c == '\t':
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		case c == '#' && !open:
			i = len(line)
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quotation mark is not closed")
	}
	if open {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("a line without a host")
	}
	return words, nil
}
