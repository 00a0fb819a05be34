package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"rekey"
)

// Key makes marks. It is a secret: with it a guessed token can be tested.
type Key struct{ secret [32]byte }

const keyHead = "rekey-snapshot-key-1 "

// NewKey draws a key from random.
func NewKey(random io.Reader) (Key, error) {
	var k Key
	_, err := io.ReadFull(random, k.secret[:])
	return k, err
}

// ParseKey reads what Encode wrote.
func ParseKey(text []byte) (Key, error) {
	var k Key
	digits, ok := strings.CutPrefix(strings.TrimSpace(string(text)), keyHead)
	n, err := hex.Decode(k.secret[:], []byte(digits[:min(len(digits), 2*len(k.secret))]))
	if !ok || err != nil || n != len(k.secret) || len(digits) != 2*n {
		return Key{}, rekey.Errorf(rekey.KindInvalid, "that is no key of a snapshot").WithHint("it is one line that begins with %q; restore the file from a backup", keyHead)
	}
	return k, nil
}

// Encode returns the line for the key's file, which nobody else may read.
func (k Key) Encode() []byte { return []byte(keyHead + hex.EncodeToString(k.secret[:]) + "\n") }

// Format shows the key's name, never the key.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "key "+k.Name()) }

// Name tells keys apart without telling anything of them.
func (k Key) Name() string { return hex.EncodeToString(k.sum("name")[:4]) }

// Mark is a keyed fingerprint: equal tokens have equal marks under one key, and
// without the key nothing can be said of a token by it.
type Mark string

// Mark returns the token's mark, "" for the empty token.
func (k Key) Mark(t rekey.Token) Mark {
	if t.IsZero() {
		return ""
	}
	return Mark(hex.EncodeToString(k.sum("token\x00" + t.Reveal())[:16]))
}

func (k Key) sum(text string) []byte {
	mac := hmac.New(sha256.New, k.secret[:])
	_, _ = mac.Write([]byte("rekey snapshot v1\x00" + text))
	return mac.Sum(nil)
}
