package ciconfig

import (
	"errors"
	"regexp"
	"strings"
)

// condition is a parsed `if` of a rule over variables.
type condition func(vars map[string]string) bool

// operand yields a value and whether it is there at all (null is not).
type operand func(vars map[string]string) (string, bool)

var tokenPattern = regexp.MustCompile(`^\s*(?:(\|\||&&|==|!=|=~|!~|\(|\))|\$(\w+)|\$\{(\w+)\}|"([^"]*)"|'([^']*)'|/((?:\\.|[^/\\])+)/([ims]*)|(null)\b)`)

var errSyntax = errors.New("invalid expression syntax")

type conditionToken struct {
	operator string
	value    operand
	pattern  *regexp.Regexp
}

// parseCondition reads GitLab's expressions: ||, &&, ==, !=, =~, !~, parentheses,
// variables, strings, null and patterns. The empty one always holds.
func parseCondition(text string) (condition, error) {
	if strings.TrimSpace(text) == "" {
		return func(map[string]string) bool { return true }, nil
	}
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &conditionParser{tokens: tokens}
	c, err := p.either()
	if err == nil && len(p.tokens) > 0 {
		err = errSyntax
	}
	return c, err
}

func tokenize(text string) ([]conditionToken, error) {
	var tokens []conditionToken
	for strings.TrimSpace(text) != "" {
		m := tokenPattern.FindStringSubmatchIndex(text)
		if m == nil {
			return nil, errSyntax
		}
		t, err := tokenOf(text, m)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		text = text[m[1]:]
	}
	return tokens, nil
}

func tokenOf(text string, m []int) (conditionToken, error) {
	group := func(i int) (string, bool) {
		if m[2*i] < 0 {
			return "", false
		}
		return text[m[2*i]:m[2*i+1]], true
	}
	if operator, is := group(1); is {
		return conditionToken{operator: operator}, nil
	}
	for _, i := range []int{2, 3} {
		if name, is := group(i); is {
			return conditionToken{value: func(vars map[string]string) (string, bool) { v, set := vars[name]; return v, set }}, nil
		}
	}
	for _, i := range []int{4, 5} {
		if literal, is := group(i); is {
			return conditionToken{value: func(map[string]string) (string, bool) { return literal, true }}, nil
		}
	}
	if pattern, is := group(6); is {
		flags, _ := group(7)
		if flags != "" {
			pattern = "(?" + flags + ")" + pattern
		}
		compiled, err := regexp.Compile(strings.ReplaceAll(pattern, `\/`, `/`))
		return conditionToken{pattern: compiled}, err
	}
	return conditionToken{value: func(map[string]string) (string, bool) { return "", false }}, nil
}

type conditionParser struct{ tokens []conditionToken }

func (p *conditionParser) take(operator string) bool {
	if len(p.tokens) == 0 || p.tokens[0].operator != operator {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *conditionParser) either() (condition, error) {
	left, err := p.both()
	for err == nil && p.take("||") {
		var right condition
		before := left
		right, err = p.both()
		left = func(v map[string]string) bool { return before(v) || right(v) }
	}
	return left, err
}

func (p *conditionParser) both() (condition, error) {
	left, err := p.comparison()
	for err == nil && p.take("&&") {
		var right condition
		before := left
		right, err = p.comparison()
		left = func(v map[string]string) bool { return before(v) && right(v) }
	}
	return left, err
}

func (p *conditionParser) comparison() (condition, error) {
	if p.take("(") {
		inner, err := p.either()
		if err == nil && !p.take(")") {
			err = errSyntax
		}
		return inner, err
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	for _, operator := range []string{"==", "!=", "=~", "!~"} {
		if p.take(operator) {
			return p.compared(left, operator)
		}
	}
	return func(v map[string]string) bool { s, set := left(v); return set && s != "" }, nil
}

func (p *conditionParser) compared(left operand, operator string) (condition, error) {
	negate := operator[0] == '!'
	if strings.HasSuffix(operator, "~") {
		if len(p.tokens) == 0 || p.tokens[0].pattern == nil {
			return nil, errSyntax
		}
		pattern := p.tokens[0].pattern
		p.tokens = p.tokens[1:]
		return func(v map[string]string) bool { s, _ := left(v); return pattern.MatchString(s) != negate }, nil
	}
	right, err := p.operand()
	return func(v map[string]string) bool {
		a, aSet := left(v)
		b, bSet := right(v)
		return (a == b && aSet == bSet) != negate
	}, err
}

func (p *conditionParser) operand() (operand, error) {
	if len(p.tokens) == 0 || p.tokens[0].value == nil {
		return nil, errSyntax
	}
	value := p.tokens[0].value
	p.tokens = p.tokens[1:]
	return value, nil
}
