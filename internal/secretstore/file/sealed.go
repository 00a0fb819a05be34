package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"rekey"
	"rekey/internal/secretstore"
)

// magic begins the first line; the public key ends it.
const magic = "rekey sealed v1 "

// content is what is sealed, the newest version last.
type content struct {
	Versions []version `json:"versions"`
}

type version struct {
	Version secretstore.Version `json:"version"`
	Token   string              `json:"token"`
	At      time.Time           `json:"at"`
	Meta    map[string]string   `json:"meta,omitempty"`
}

func seal(key *age.X25519Identity, all content) ([]byte, error) {
	plain, err := json.Marshal(all)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInternal, "the content cannot be encoded")
	}
	out := bytes.NewBufferString(magic + key.Recipient().String() + "\n")
	w, err := age.Encrypt(out, key.Recipient())
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInternal, "the content cannot be sealed: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, rekey.Errorf(rekey.KindInternal, "the content cannot be sealed: %w", err)
	}
	err = w.Close()
	return out.Bytes(), err
}

// read opens the file of a reference; it has one version at least.
func (s *Store) read(ref secretstore.Ref) (content, error) {
	raw, err := os.ReadFile(ref.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return content{}, secretstore.Missing(ref, "there is no such file")
	case err != nil:
		return content{}, rekey.Errorf(kindOf(err), "%s cannot be read: %w", ref.Name, err).WithHint("its owner may: see `ls -l %s`", ref.Name)
	}
	recipient, body, ok := split(raw)
	if !ok {
		return content{}, notSealed(ref, ref.Name)
	}
	key, err := loadKey(s.keyFile(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return content{}, lostKey(ref, s.keyFile(ref), "is gone", recipient)
	}
	if err != nil {
		return content{}, err
	}
	if key.Recipient().String() != recipient {
		return content{}, lostKey(ref, s.keyFile(ref), "is another key ("+key.Recipient().String()+")", recipient)
	}
	return open(ref, key, body)
}

func open(ref secretstore.Ref, key *age.X25519Identity, body []byte) (content, error) {
	var all content
	r, err := age.Decrypt(bytes.NewReader(body), key)
	var plain []byte
	if err == nil {
		plain, err = io.ReadAll(r)
	}
	if err == nil {
		err = json.Unmarshal(plain, &all)
	}
	if err != nil || len(all.Versions) == 0 { // the decoder's words may quote a value
		return content{}, rekey.Errorf(rekey.KindInvalid, "%s is damaged: its key fits, its content does not open", ref.Name).
			WithHint("restore the file from a backup; else %s", recovery(ref))
	}
	return all, nil
}

func split(raw []byte) (recipient string, body []byte, ok bool) {
	line, body, ok := bytes.Cut(raw, []byte("\n"))
	recipient, sealed := strings.CutPrefix(string(line), magic)
	return recipient, body, ok && sealed
}

func isSealed(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(magic))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == magic
}

func notSealed(ref secretstore.Ref, path string) error {
	return rekey.Errorf(rekey.KindInvalid, "%s is not a file that rekey sealed, and is left as it is", path).
		WithHint("a token that stands there in the clear is sealed in another file by `rekey secret put file://%s.sealed --file %s`; then remove the open one", ref.Name, path)
}

func lostKey(ref secretstore.Ref, keyFile, what, recipient string) error {
	return rekey.Errorf(rekey.KindConflict, "%s cannot be opened: the key file %s %s; the file is sealed for %s, and nothing else opens it", ref.Name, keyFile, what, recipient).
		WithHint("restore the key file from a backup; else %s", recovery(ref))
}

// recovery says what is left when the file cannot be opened.
func recovery(ref secretstore.Ref) string {
	return "the tokens in it are lost, not the runners: the current token is still in the config.toml of each host that uses it (copy it from there: `rekey secret rm " + ref.String() +
		"`, then `rekey secret put " + ref.String() + " --file FILE`), and where no host has it any more `rekey rotate` makes a new one"
}
