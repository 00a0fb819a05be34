package durable

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

var copyPattern = regexp.MustCompile(`^\.(.+)\.rekey-(?:[0-9a-f]{12}\.tmp|([0-9a-f]{12})-([0-9a-f]{12})\.swap)$`)

// TempName names an unfinished copy of the file called base, to lie beside it.
// Whoever replaces a file on another host uses these names too, so that CleanStale
// there knows them.
func TempName(base string) string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return "." + base + ".rekey-" + hex.EncodeToString(b[:]) + ".tmp"
}

// SwapName names what is exchanged with the file called base, or came out of its
// place, while expect is replaced by next.
func SwapName(base string, expect, next []byte) string {
	return fmt.Sprintf(".%s.rekey-%s-%s.swap", base, Mark(expect), Mark(next))
}

// ParseCopy reads such a name: of is the file's. The marks are "" of an unfinished
// copy.
func ParseCopy(name string) (of, expect, next string, ok bool) {
	m := copyPattern.FindStringSubmatch(name)
	if m == nil {
		return "", "", "", false
	}
	return m[1], m[2], m[3], true
}

// Mark names a content in a file name without telling anything of it.
func Mark(content []byte) string {
	h := sha256.New()
	_, _ = h.Write([]byte("rekey durable v1\x00"))
	_, _ = h.Write(content)
	return hex.EncodeToString(h.Sum(nil)[:6])
}
