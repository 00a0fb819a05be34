package iac

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"rekey"
)

const urlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func letters(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(urlSafe[r.IntN(len(urlSafe))])
	}
	return b.String()
}

// body is random as GitLab's are, with the marker in front.
func body(r *rand.Rand, n int) string { return "CANARY" + letters(r, n-6) }

// routed makes a routable token as GitLab does: version 0 or 1, checksum included.
func routed(r *rand.Rand, prefix string, version int) string {
	routing := fmt.Sprintf("g:%s\no:1\nt:2\nu:%s", strconv.FormatInt(r.Int64N(1<<30), 36), strconv.FormatInt(r.Int64N(1<<20), 36))
	random := make([]byte, 16)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	raw, mark := append(append([]byte(nil), random...), routing...), ".01."
	raw = append(raw, byte(len(routing)))
	if version == 0 {
		raw, mark = append(append([]byte(routing), random...), 16), "."
	}
	b64 := base64.RawURLEncoding.EncodeToString(raw)
	text := prefix + b64 + mark + fmt.Sprintf("%02s", strconv.FormatInt(int64(len(b64)), 36))
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(text))), 36)
	return text + strings.Repeat("0", 7-len(sum)) + sum
}

// prefixed are the shapes that show themselves wherever they stand.
var prefixed = []struct {
	name string
	make func(r *rand.Rand) string
	kind rekey.TokenKind
}{
	{"registration", func(r *rand.Rand) string { return "GR1348941" + body(r, 20) }, rekey.TokenRegistration},
	{"created", func(r *rand.Rand) string { return "glrt-" + body(r, 20) }, rekey.TokenRunner},
	{"created, instance", func(r *rand.Rand) string { return "glrt-t1_" + body(r, 20) }, rekey.TokenRunner},
	{"created, project", func(r *rand.Rand) string { return "glrt-t3_" + body(r, 20) }, rekey.TokenRunner},
	{"legacy, newer", func(r *rand.Rand) string { return "glrtr-" + body(r, 20) }, rekey.TokenRunnerLegacy},
	{"legacy, typed", func(r *rand.Rand) string { return "glrtr-t2_" + body(r, 20) }, rekey.TokenRunnerLegacy},
	{"routable v0", func(r *rand.Rand) string { return routed(r, "glrt-", 0) }, rekey.TokenRunner},
	{"routable v0, typed", func(r *rand.Rand) string { return routed(r, "glrt-t2_", 0) }, rekey.TokenRunner},
	{"routable v1", func(r *rand.Rand) string { return routed(r, "glrt-", 1) }, rekey.TokenRunner},
	{"routable legacy", func(r *rand.Rand) string { return routed(r, "glrtr-", 1) }, rekey.TokenRunnerLegacy},
	{"instance prefix", func(r *rand.Rand) string { return "acme-glrt-" + body(r, 20) }, rekey.TokenRunner},
	{"instance prefix, routable", func(r *rand.Rand) string { return routed(r, "acme.corp-glrt-", 1) }, rekey.TokenRunner},
	{"personal", func(r *rand.Rand) string { return "glpat-" + body(r, 20) }, rekey.TokenPersonal},
	{"personal, routable", func(r *rand.Rand) string { return routed(r, "glpat-", 1) }, rekey.TokenPersonal},
	{"job", func(r *rand.Rand) string { return "glcbt-64_" + body(r, 20) }, rekey.TokenJob},
	{"runner controller", func(r *rand.Rand) string { return "glrct-" + body(r, 20) }, rekey.TokenOther},
	{"trigger", func(r *rand.Rand) string { return "glptt-" + hex.EncodeToString([]byte(body(r, 20))) }, rekey.TokenTrigger},
	{"deploy", func(r *rand.Rand) string { return "gldt-" + body(r, 20) }, rekey.TokenDeploy},
}

// surroundings are what a token may stand in, in every format.
var surroundings = []string{
	"%s", "%s\n", "token = \"%s\"", "token='%s'", "TOKEN=%s", "TOKEN=%s # note", "export TOKEN=\"%s\"\n", "--token %s --url x", "--token=%s", "--token=\"%s\" \\\n",
	"-t %s", "-t%s", "-r%s ", "{\"token\":\"%s\"}", "{'token': '%s', 'a': 1}", "token: %s\n", "token: \"%s\"\n", "  - %s\n", "- --token=%s\n", "[\"--token\", \"%s\"]",
	"<token>%s</token>", "(%s)", "[%s]", "{%s}", "`%s`", "“%s”", "%s.", "%s,", "%s;", "%s:", "%s!", "see %s, and", "https://oauth2:%s@gitlab.example.com/a/b.git",
	"https://h/?token=%s&x=1", "https://h/?token%%3D%s", "token=%s&tag_list=a", "\\n%s\\n", "a\\t%s\\r", "\"line\\n%s\\n\"", "echo %s | sudo tee x", "$(echo %s)", "${TOKEN:-%s}", "<<EOF\n%s\nEOF\n",
	"curl -H \"PRIVATE-TOKEN: %s\" x", "--form \"token=%s\"", "-F token=%s", "registration-token => '%s',", "\"registration_token\" = \"%s\"", "set runnerToken=%s,", "--set runnerToken=%s", "# %s", "// %s", "/* %s */", "<!-- %s -->", "\ufeff%s", "\u00a0%s\u00a0",
	"%s\\", "%s\"", "|%s|", "\x00%s\x00", "é%sé", "key=%s\r\n", "\t%s\t", "@%s", "@@%s@@", "#%s", "%%%s%%", "^%s$", "~%s~", "*%s*", "\\u003d%s", "&quot;%s&quot;",
}

// TestEveryShapeIsMatchedWhole puts every shape into every surrounding, ten
// thousand times over.
func TestEveryShapeIsMatchedWhole(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	n := 0
	for n < 10000 {
		for _, p := range prefixed {
			for _, around := range surroundings {
				token := p.make(r)
				if strings.HasSuffix(token, "-") || strings.HasSuffix(token, "_") {
					continue // the surrounding cannot be told from the token's own last character by a reader either
				}
				n++
				text := fmt.Sprintf(around, token)
				found := sightings([]byte(text))
				if len(found) != 1 || found[0].token.Reveal() != token || text[found[0].start:found[0].end] != token {
					t.Fatalf("%s in %q: found %d, want the token whole at its place; first: %+v", p.name, strings.ReplaceAll(around, "%s", "TOKEN"), len(found), spans(found))
				}
				if found[0].token.Kind() != p.kind || !found[0].issued() {
					t.Fatalf("%s: kind %s, issued %v; want %s and true", p.name, found[0].token.Kind(), found[0].issued(), p.kind)
				}
				if strings.Contains(p.name, "routable") != found[0].checked {
					t.Fatalf("%s in %q: checksum judged %v", p.name, around, found[0].checked)
				}
			}
		}
	}
}

func spans(found []sighting) []Span {
	var list []Span
	for _, s := range found {
		list = append(list, Span{s.start, s.end})
	}
	return list
}

// TestBareTokensWhereTokensBelong: twenty characters without a prefix are a token
// only where one is meant to be.
func TestBareTokensWhereTokensBelong(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		for _, token := range []string{letters(r, 20), "t1_" + letters(r, 20), "t3_" + letters(r, 20)} {
			if !looksIssued(token) || strings.HasPrefix(token, "-") {
				continue
			}
			for _, c := range []struct{ path, text string }{
				{"a.sh", "gitlab-runner register --url https://gitlab.example.com --registration-token %s\n"},
				{"a.sh", "gitlab-runner register --url https://gitlab.example.com --token '%s'\n"},
				{"values.yaml", "gitlabUrl: https://gitlab.example.com\nrunnerRegistrationToken: \"%s\"\n"},
				{"values.yaml", "gitlabUrl: https://gitlab.example.com\nrunnerToken: %s\n"},
				{"config.toml", "[[runners]]\n  url = \"https://gitlab.example.com\"\n  token = \"%s\"\n"},
				{"main.tf", "module \"gitlab\" {\n  registration_token = \"%s\"\n}\n"},
				{".env", "CI_SERVER_TOKEN=%s\n"},
			} {
				if !has(Examine(c.path, fmt.Appendf(nil, c.text, token), Target{}), Hardcoded, rekey.Failing) {
					t.Fatalf("%s: nothing said of a bare token of length %d in %q", c.path, len(token), c.text)
				}
			}
			if has(Examine("a.py", []byte("commit = '"+token+"'\n"), Target{}), Hardcoded, rekey.Failing) {
				t.Fatal("a bare random text where no token belongs is called one")
			}
		}
	}
}

func has(findings []Finding, slug Slug, s rekey.Severity) bool {
	for _, f := range findings {
		if f.Slug == slug && f.Severity == s {
			return true
		}
	}
	return false
}

// TestRandomTextIsNoToken feeds base64, base64url, hex and identifiers.
func TestRandomTextIsNoToken(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	raw := make([]byte, 1<<20)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	long := base64.RawURLEncoding.EncodeToString(raw)
	planted := long[:5000] + "glrt-" + long[5000:9000] + "glpat-" + long[9000:9500] + "GR1348941" + long[9500:]
	for name, text := range map[string]string{
		"base64": base64.StdEncoding.EncodeToString(raw), "base64url": long, "hex": hex.EncodeToString(raw),
		"prefixes inside base64url": planted, "checksum": "sha256-" + long[:43] + " glrt-example glrt- glrt-xxxxxxxxxxxxxxxxxxxx glrt-YOUR-TOKEN glrt-my-auth-token-for-the-tests GR1348941xxxxxxxxxxxxxxxxxxxx glpat-<token>",
	} {
		for _, s := range sightings([]byte(text)) {
			if s.issued() {
				t.Errorf("%s: %d bytes at %d are called a token", name, s.end-s.start, s.start)
			}
		}
	}
}

func TestBrokenChecksumIsNoError(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	token := []byte(routed(r, "glrt-", 1))
	token[10] ^= 1
	findings := Examine("a.sh", []byte("TOKEN="+string(token)+"\n"), Target{})
	if has(findings, Hardcoded, rekey.Failing) || !has(findings, BrokenToken, rekey.Warning) {
		t.Errorf("got %+v, want %s at warning alone", findings, BrokenToken)
	}
}

func TestTokensInBase64(t *testing.T) {
	t.Parallel()
	secret := base64.StdEncoding.EncodeToString([]byte("glrt-CANARYaB3dE5fG7hJ9kL\n"))
	text := "apiVersion: v1\nkind: Secret\ndata:\n  runner-token: " + secret + "\n  runner-registration-token: \"\"\n"
	findings := Examine("secret.yaml", []byte(text), Target{})
	if len(findings) != 1 || findings[0].Slug != Hardcoded || findings[0].Line != 4 {
		t.Errorf("got %+v, want one %s at line 4", findings, Hardcoded)
	}
}
