package inventory

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// expand returns the names of a host pattern, which may have ranges in brackets
// (web[01:20], db-[a:f], x[0:10:2]) and a port behind a colon.
func expand(pattern string) (names []string, port int, err error) {
	pattern, port, err = withoutPort(pattern)
	if err != nil {
		return nil, 0, err
	}
	if pattern == "" {
		return nil, 0, errors.New("a host without a name")
	}
	if _, err := netip.ParseAddr(pattern); err == nil {
		return []string{pattern}, port, nil
	}
	names = []string{""}
	for pattern != "" {
		before, rest, found := strings.Cut(pattern, "[")
		if strings.Contains(before, "]") {
			return nil, 0, errors.New("a ] without a [")
		}
		values := []string{""}
		pattern = ""
		if found {
			text, after, closed := strings.Cut(rest, "]")
			if !closed {
				return nil, 0, errors.New("a [ without a ]")
			}
			if values, err = rangeOf(text); err != nil {
				return nil, 0, err
			}
			pattern = after
		}
		if len(names)*len(values) > mostHosts {
			return nil, 0, fmt.Errorf("a range makes more than %d hosts", mostHosts)
		}
		next := make([]string, 0, len(names)*len(values))
		for _, name := range names {
			for _, v := range values {
				next = append(next, name+before+v)
			}
		}
		names = next
	}
	for _, name := range names[:1] {
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return nil, 0, errors.New("a host's name has a space or a control character")
		}
	}
	return names, port, nil
}

// withoutPort cuts ":22" off, which is none inside brackets or in an IPv6 address
// that stands in none.
func withoutPort(pattern string) (string, int, error) {
	if rest, ok := strings.CutPrefix(pattern, "["); ok {
		if address, after, closed := strings.Cut(rest, "]"); closed {
			if _, err := netip.ParseAddr(address); err == nil {
				port, err := portOf(strings.TrimPrefix(after, ":"))
				return address, port, err
			}
		}
	}
	if _, err := netip.ParseAddr(pattern); err == nil {
		return pattern, 0, nil
	}
	i := strings.LastIndex(pattern, ":")
	if i < 0 || strings.Contains(pattern[i:], "]") {
		return pattern, 0, nil
	}
	port, err := portOf(pattern[i+1:])
	return pattern[:i], port, err
}

func portOf(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, errors.New("what follows the host's last colon is no port")
	}
	return port, nil
}

// rangeOf reads START:END[:STEP], of numbers, padded as START is, or of letters.
func rangeOf(text string) ([]string, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, errors.New("a range is [START:END] or [START:END:STEP]")
	}
	step := 1
	if len(parts) == 3 {
		var err error
		if step, err = strconv.Atoi(parts[2]); err != nil || step < 1 {
			return nil, errors.New("the step of a range is a number above 0")
		}
	}
	if parts[0] == "" {
		parts[0] = "0"
	}
	if first, last := parts[0], parts[1]; len(first) == 1 && len(last) == 1 && isLetter(first[0]) && isLetter(last[0]) {
		if first > last {
			return nil, errors.New("a range ends before it begins")
		}
		var values []string
		for c := int(first[0]); c <= int(last[0]); c += step {
			values = append(values, string(rune(c)))
		}
		return values, nil
	}
	return numbers(parts[0], parts[1], step)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func numbers(first, last string, step int) ([]string, error) {
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	width := 0
	if len(first) > 1 && first[0] == '0' {
		if width = len(first); len(last) != width {
			return nil, errors.New("both ends of a range with leading zeros are equally long")
		}
	}
	switch {
	case errFrom != nil || errTo != nil || from < 0:
		return nil, errors.New("a range is of numbers or of single letters")
	case from > to:
		return nil, errors.New("a range ends before it begins")
	case (to-from)/step >= mostHosts:
		return nil, fmt.Errorf("a range makes more than %d hosts", mostHosts)
	}
	var values []string
	for n := from; n <= to && n >= from; n += step {
		values = append(values, fmt.Sprintf("%0*d", width, n))
	}
	return values, nil
}
