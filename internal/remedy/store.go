package remedy

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"filippo.io/age"

	"rekey"
	"rekey/internal/durable"
)

// Store is the state directory: key.txt (0600) is the age identity that seals
// tokens and images, operations/ holds one journal per repaired section. Whoever
// can read key.txt can open what is sealed; nobody else can.
type Store struct {
	dir   string
	key   *age.X25519Identity
	clock Clock
}

const journalSuffix = ".journal"

// OpenStore opens the state directory, making it (0700) and its key when there
// is none. It fails when journals exist and their key is gone.
func OpenStore(dir string, clock Clock) (*Store, error) {
	s := &Store{dir: dir, clock: clock}
	if err := durable.MkdirAll(s.operations(), 0o700); err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "the state directory cannot be made: %w", err).
			WithHint("name another with --state-dir or REKEY_STATE_DIR")
	}
	key, err := s.loadKey()
	if errors.Is(err, fs.ErrNotExist) {
		key, err = s.makeKey()
	}
	if err != nil {
		return nil, err
	}
	s.key = key
	return s, nil
}

func (s *Store) operations() string { return filepath.Join(s.dir, "operations") }
func (s *Store) keyPath() string    { return filepath.Join(s.dir, "key.txt") }

func (s *Store) loadKey() (*age.X25519Identity, error) {
	text, err := os.ReadFile(s.keyPath())
	if err != nil {
		return nil, err
	}
	key, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "%s is not an age identity", s.keyPath()).
			WithHint("restore the file from a backup; without it sealed tokens cannot be opened")
	}
	return key, nil
}

// makeKey holds the lock: what a killed makeKey left behind goes, and nobody
// else makes a key meanwhile.
func (s *Store) makeKey() (*age.X25519Identity, error) {
	unlock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	ids, err := s.List()
	switch {
	case err != nil:
		return nil, err
	case len(ids) > 0:
		return nil, s.keyLost(len(ids))
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	return key, durable.WriteNew(s.keyPath(), []byte(key.String()+"\n"), 0o600)
}

// Lock keeps every other rekey out of this state directory, and settles what a
// killed one left there.
func (s *Store) Lock() (unlock func(), err error) {
	unlock, err = durable.LockDir(s.dir)
	if err != nil {
		return nil, err
	}
	if _, _, err := durable.CleanStale(s.dir); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// List returns the operations that have a journal, oldest first by name of run.
func (s *Store) List() ([]rekey.Operation, error) {
	entries, err := os.ReadDir(s.operations())
	if err != nil {
		return nil, err
	}
	var ids []rekey.Operation
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), journalSuffix); ok {
			ids = append(ids, rekey.Operation(name))
		}
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids, nil
}

// NewRun names a run: its operations are NAME-1, NAME-2 and so on. Names sort by
// time to the second.
func (s *Store) NewRun() (string, error) {
	random := make([]byte, 3)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	tail := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
	return s.clock.Now().UTC().Format("20060102t150405") + tail[:4], nil
}

// seal encrypts for the store's own key.
func (s *Store) seal(plain []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, s.key.Recipient())
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func (s *Store) remove(id rekey.Operation) error {
	return durable.Call("journal.remove", func() error { return os.Remove(s.path(id)) })
}
