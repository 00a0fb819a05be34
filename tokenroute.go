package rekey

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"
)

// routablePattern is a routable token of version 0 (one dot) or 1 (".01.").
var routablePattern = regexp.MustCompile(`^(.*?glrtr?-(?:t[123]_)?)([A-Za-z0-9_-]+)\.(01\.)?([0-9a-z]{2})([0-9a-z]{7})$`)

// routableChecksumHolds checks the CRC-32 at the end of a routable token:
// base 36, seven characters, over everything before it.
func routableChecksumHolds(v string) bool {
	m := routablePattern.FindStringSubmatch(v)
	if m == nil {
		return false
	}
	length, err := strconv.ParseInt(m[4], 36, 32)
	if err != nil || int(length) > len(m[2]) {
		return false
	}
	sum := crc32.ChecksumIEEE([]byte(v[:len(v)-7]))
	return fmt.Sprintf("%07s", strconv.FormatUint(uint64(sum), 36)) == m[5]
}

// scopeHint reads the runner type that a typed or routable token reveals.
func scopeHint(v string) Scope {
	body := v
	if i := strings.Index(v, "glrt-"); i >= 0 {
		body = v[i+len("glrt-"):]
	}
	body = strings.TrimPrefix(body, "glrtr-")
	if len(body) >= 23 && body[0] == 't' && body[2] == '_' {
		if s := scopeOfType(body[1:2]); s != "" {
			return s
		}
	}
	if m := routablePattern.FindStringSubmatch(v); m != nil && routableChecksumHolds(v) {
		return routedScope(m[2])
	}
	return ""
}

func scopeOfType(t string) Scope {
	return map[string]Scope{"1": ScopeInstance, "2": ScopeGroup, "3": ScopeProject}[t]
}

// routedScope decodes the routing string of a version 1 payload: 16 random
// bytes, the string, one byte with its length; or of version 0: the string, 16
// random bytes, one byte 16.
func routedScope(payload string) Scope {
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || len(raw) < 18 {
		return ""
	}
	routing := string(raw[16 : len(raw)-1])
	if n := int(raw[len(raw)-1]); n != len(routing) {
		routing = string(raw[:len(raw)-17])
	}
	keys := map[string]string{}
	for line := range strings.SplitSeq(routing, "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			keys[k] = v
		}
	}
	switch {
	case scopeOfType(keys["t"]) != "":
		return scopeOfType(keys["t"])
	case keys["p"] != "":
		return ScopeProject
	case keys["g"] != "":
		return ScopeGroup
	}
	return ""
}
