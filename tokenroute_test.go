package rekey_test

import (
	"encoding/base64"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"rekey"
)

// The generators follow the documented algorithm step by step and share nothing
// with the code under test.

func base36(n uint64, width int) string {
	digits := strconv.FormatUint(n, 36)
	for len(digits) < width {
		digits = "0" + digits
	}
	return digits
}

func sealed(text string) string { return text + base36(uint64(crc32.ChecksumIEEE([]byte(text))), 7) }

func sixteen(random *rand.Rand) string {
	b := make([]byte, 16)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func routableV1(random *rand.Rand, prefix, routing string) string {
	b := base64.RawURLEncoding.EncodeToString([]byte(sixteen(random) + routing + string([]byte{byte(len(routing))})))
	return sealed(prefix + b + ".01." + base36(uint64(len(b)), 2))
}

func routableV0(random *rand.Rand, prefix, routing string) string {
	b := base64.RawURLEncoding.EncodeToString([]byte(routing + sixteen(random) + "\x10"))
	return sealed(prefix + b + "." + base36(uint64(len(b)), 2))
}

var routableShapes = []struct {
	prefix, routing string
	scope           rekey.Scope
}{
	{"glrt-", "o:1\nt:1\nu:2s", rekey.ScopeInstance},
	{"glrt-", "g:7\no:1\nt:2\nu:1", rekey.ScopeGroup},
	{"glrt-", "c:1\no:1\np:3x\nt:3\nu:1", rekey.ScopeProject},
	{"glrt-", "g:1\no:1\nu:1ab", rekey.ScopeGroup}, // 16 bytes or so: version 0 must not be read as version 1
	{"glrt-", "o:1\np:zz\nu:ab1", rekey.ScopeProject},
	{"glrt-", "o:1", ""},
	{"glrt-t3_", "o:1\nu:1", rekey.ScopeProject},
	{"glrtr-", "o:1\np:1\nt:3", rekey.ScopeProject},
	{"acme-glrt-", "o:1\nt:1", rekey.ScopeInstance},
	{"a.01.b-glrt-", "o:1\nt:2", rekey.ScopeGroup},
	{"glrt-", "o:1\np:1\n" + strings.Repeat("x", 151), rekey.ScopeProject}, // the longest routing string
}

func TestRoutableTokens(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		for _, shape := range routableShapes {
			for version, generate := range map[string]func(*rand.Rand, string, string) string{"v0": routableV0, "v1": routableV1} {
				text := generate(random, shape.prefix, shape.routing)
				got := rekey.NewToken(text).Lexical()
				if !got.Sendable || got.Suspicion != nil || got.Scope != shape.scope {
					t.Fatalf("%s %q with %q: sendable %v, suspicion %v, scope %q; want scope %q", version, text, shape.routing, got.Sendable, got.Suspicion, got.Scope, shape.scope)
				}
			}
		}
	}
}

// TestRoutableTokensThatLostACharacter cuts, drops and changes characters: the
// text stays sendable, and its checksum gives it away.
func TestRoutableTokensThatLostACharacter(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for _, generate := range []func(*rand.Rand, string, string) string{routableV0, routableV1} {
		whole := generate(random, "glrt-", "o:1\np:1\nt:3\nu:1")
		dot := strings.IndexByte(whole, '.')
		for i := len("glrt-"); i < len(whole); i++ {
			damaged := map[string]string{"dropped": whole[:i] + whole[i+1:], "changed": whole[:i] + string(other(whole[i])) + whole[i+1:]}
			if i > dot {
				damaged["cut"] = whole[:i]
			}
			for how, text := range damaged {
				if !strings.Contains(text, ".") {
					continue // without its dots nothing says that it was routable
				}
				got := rekey.NewToken(text).Lexical()
				if !got.Sendable || got.Suspicion == nil || got.Suspicion.Code != "checksum" {
					t.Errorf("%s at %d: %q: sendable %v, suspicion %v; want sendable with a checksum that fails", how, i, text, got.Sendable, got.Suspicion)
				}
			}
		}
	}
}

func other(b byte) byte {
	if b == 'k' {
		return 'q'
	}
	return 'k'
}
