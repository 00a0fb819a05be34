package lab

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"rekey"
)

// shape is a form of runner authentication token.
type shape string

const (
	shapeBare     shape = "bare"     // prefix + 20 characters
	shapeTyped    shape = "typed"    // prefix + tN_ + 20 characters
	shapeRoutable shape = "routable" // prefix + payload .01. length and CRC-32
)

// shapeRow says how new runner tokens look from a version on. Tokens of older
// shapes stay valid: the lookup never reads the shape.
type shapeRow struct {
	since            rekey.Version
	registrationType string
	prefix           string
	form             shape
	from             provenance
}

const (
	byUser         = "authenticated_user"
	byRegistration = "registration_token"
)

// shapes is in order of version; the last row that applies wins.
var shapes = []shapeRow{
	{v(15, 10), byUser, "glrt-", shapeBare, fromDocumentation},
	{v(17, 8), byUser, "glrt-", shapeTyped, unverified},
	{v(18, 6), byUser, "glrt-", shapeRoutable, unverified},
	{v(0, 0), byRegistration, "", shapeBare, fromSource},
	{v(17, 8), byRegistration, "", shapeTyped, unverified},
	{v(18, 0), byRegistration, "glrtr-", shapeTyped, unverified},
	{v(18, 6), byRegistration, "glrtr-", shapeRoutable, unverified},
}

func shapeFor(version rekey.Version, registrationType string) shapeRow {
	var last shapeRow
	for _, row := range shapes {
		if row.registrationType == registrationType && within(version, row.since, never) {
			last = row
		}
	}
	return last
}

// routing is what a routable token reveals; zero fields are left out.
type routing struct{ organization, group, project, creator, kind int64 }

var typeNumber = map[string]int64{"instance_type": 1, "group_type": 2, "project_type": 3}

// newRunnerToken makes a token for the runner as this version would. instance
// prefix is the setting instance_token_prefix; it is not applied to glrtr-.
func newRunnerToken(version rekey.Version, r *runner, ownerProject int64, instancePrefix string) string {
	row := shapeFor(version, r.RegistrationType)
	prefix := row.prefix
	if instancePrefix != "" && prefix == "glrt-" {
		prefix = instancePrefix + "-" + prefix
	}
	kind := typeNumber[r.Type]
	switch {
	case row.form == shapeRoutable && (kind != 1 || r.CreatorID != 0):
		return routableToken(prefix, routing{1, r.GroupID, ownerProject, r.CreatorID, kind})
	case row.form == shapeTyped:
		return prefix + fmt.Sprintf("t%d_", kind) + friendlyToken()
	}
	return prefix + friendlyToken()
}

// routableToken is version 1: 16 random bytes, the routing lines, one byte with
// their length; then length and CRC-32 of everything before, in base 36.
func routableToken(prefix string, r routing) string {
	var lines []string
	for _, field := range []struct {
		key   string
		value int64
	}{{"g", r.group}, {"o", r.organization}, {"p", r.project}, {"t", r.kind}, {"u", r.creator}} {
		if field.value != 0 {
			lines = append(lines, field.key+":"+strconv.FormatInt(field.value, 36))
		}
	}
	text := strings.Join(lines, "\n")
	payload := append(randomBytes(16), text...)
	body := base64.RawURLEncoding.EncodeToString(append(payload, byte(len(text))))
	token := prefix + body + ".01." + base36(uint64(len(body)), 2)
	return token + base36(uint64(crc32.ChecksumIEEE([]byte(token))), 7)
}

func base36(n uint64, width int) string {
	digits := strconv.FormatUint(n, 36)
	return strings.Repeat("0", max(0, width-len(digits))) + digits
}

// friendlyToken is 20 characters of base64url, as Devise makes them. It never
// begins with "-": command lines would take it for a flag.
func friendlyToken() string {
	for {
		if token := base64.RawURLEncoding.EncodeToString(randomBytes(15)); token[0] != '-' {
			return token
		}
	}
}

func newRegistrationToken() string { return "GR1348941" + friendlyToken() }
func newAccessToken() string       { return "glpat-" + friendlyToken() }
func newTriggerToken() string      { return "glptt-" + hex.EncodeToString(randomBytes(20)) }

func (s *Server) newJobToken() string {
	token := "64_" + friendlyToken()
	if s.has(prefixedJobToken) {
		return "glcbt-" + token
	}
	return token
}
