package lab

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rekey"
)

// secrets turns tokens into what the database may hold. Its key lives in
// DIR/secrets.json beside the database, as GitLab keeps db_key_base in
// gitlab-secrets.json: who loses the file loses every token.
type secrets struct {
	lookup []byte
	seal   cipher.AEAD
}

// domain separates the digests of one kind of token from another's.
type domain string

const (
	domainRunner       domain = "runner"
	domainAccess       domain = "access"
	domainJob          domain = "job"
	domainRegistration domain = "registration"
	domainTrigger      domain = "trigger"
)

type secretsFile struct {
	KeyBase string `json:"db_key_base"`
}

// openSecrets reads DIR/secrets.json, or creates it (mode 0600).
func openSecrets(dir string) (*secrets, error) {
	path := filepath.Join(dir, "secrets.json")
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		raw, err = createSecrets(path)
	}
	if err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "read the lab's secrets: %w", err)
	}
	made, err := parseSecrets(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return made, nil
}

func parseSecrets(raw []byte) (*secrets, error) {
	var file secretsFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "this is not the lab's secrets file")
	}
	key, err := hex.DecodeString(file.KeyBase)
	if err != nil || len(key) < 32 {
		return nil, rekey.Errorf(rekey.KindInvalid, "there is no usable db_key_base")
	}
	return newSecrets(key)
}

func createSecrets(path string) ([]byte, error) {
	raw, err := json.Marshal(secretsFile{hex.EncodeToString(randomBytes(64))})
	if err != nil {
		return nil, err
	}
	return raw, replaceFile(path, raw)
}

func newSecrets(key []byte) (*secrets, error) {
	lookup, err := hkdf.Key(sha256.New, key, nil, "lab token lookup", 32)
	if err != nil {
		return nil, err
	}
	sealKey, err := hkdf.Key(sha256.New, key, nil, "lab token seal", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealKey)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &secrets{lookup, aead}, err
}

// digest is the keyed digest by which a token is looked up.
func (s *secrets) digest(d domain, token string) []byte {
	mac := hmac.New(sha256.New, s.lookup)
	mac.Write([]byte(d))
	mac.Write([]byte{0})
	mac.Write([]byte(token))
	return mac.Sum(nil)
}

// sealed encrypts a token that must be readable again.
func (s *secrets) sealed(token string) []byte {
	nonce := randomBytes(s.seal.NonceSize())
	return s.seal.Seal(nonce, nonce, []byte(token), nil)
}

// opened decrypts what sealed made; it fails with another key.
func (s *secrets) opened(box []byte) (string, error) {
	n := s.seal.NonceSize()
	if len(box) < n {
		return "", errors.New("ciphertext is too short")
	}
	plain, err := s.seal.Open(nil, box[:n], box[n:], nil)
	return string(plain), err
}

// randomBytes never fails: crypto/rand ends the process rather than return less.
func randomBytes(n int) []byte {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return raw
}

// replaceFile writes a private file that is complete or not there.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".lab-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.Write(data); err != nil {
		_ = f.Close()
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
