// Package file keeps tokens in files that are sealed with age: the store that is
// there where no other is. A file begins with a line that names the public key which
// it is sealed for, so that a lost or wrong key can be told, and holds the last
// versions of one token. It owns the key file (0600, made once) and the order of
// durable writes. It refuses to write over what it cannot open, and to keep anything
// readable without the key.
package file

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/secretstore"
)

// keptVersions is how many values a file holds: the current one and those before.
const keptVersions = 10

// Options of a store.
type Options struct {
	KeyFile string // where a reference names none with ?key=
	Now     func() time.Time
}

// Store keeps each reference in a file of its own.
type Store struct {
	opts Options
	mu   sync.Mutex // one writer in this process; LockDir keeps the others out

	watched watched
}

// New returns the store; nothing is read or made yet.
func New(o Options) *Store { return &Store{opts: o} }

// Features says what a file can do.
func (s *Store) Features(context.Context, secretstore.Ref) (secretstore.Features, error) {
	return secretstore.Features{Write: true, Swap: secretstore.SwapAtomic, Versions: true, List: true, Delete: true, Watch: true, Metadata: true}, nil
}

func (s *Store) keyFile(ref secretstore.Ref) string {
	if key := ref.Option("key"); key != "" {
		return key
	}
	return s.opts.KeyFile
}

// Get opens the file and returns a version, the newest for "".
func (s *Store) Get(_ context.Context, ref secretstore.Ref, version secretstore.Version) (secretstore.Secret, error) {
	all, err := s.read(ref)
	if err != nil {
		return secretstore.Secret{}, err
	}
	for _, v := range slices.Backward(all.Versions) {
		if version == "" || v.Version == version {
			return secretstore.Secret{Value: rekey.NewToken(v.Token), Version: v.Version, Meta: secretstore.FieldsMetadata(v.Meta), CreatedAt: v.At}, nil
		}
	}
	return secretstore.Secret{}, secretstore.NoVersion(ref, "it holds no version "+string(version)+" (the last "+strconv.Itoa(keptVersions)+" are kept)")
}

// Put adds a version. The key is made when there is neither key nor file.
func (s *Store) Put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (secretstore.Version, error) {
	path, unlock, err := s.lock(ctx, ref)
	if err != nil {
		return "", err
	}
	defer unlock()
	all, err := s.read(ref)
	found := err == nil
	if err != nil && rekey.KindOf(err) != rekey.KindNotFound {
		return "", err
	}
	var now version
	if found {
		now = all.Versions[len(all.Versions)-1]
	}
	if err := p.If.Check(ref, now.Version, found); err != nil {
		return "", err
	}
	key, err := loadKey(s.keyFile(ref))
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(ctx, s.keyFile(ref), filepath.Dir(path))
	}
	if err != nil {
		return "", err
	}
	next := version{Version: nextVersion(now.Version), Token: value.Reveal(), At: s.opts.Now().UTC(),
		Meta: p.Meta.Over(secretstore.FieldsMetadata(now.Meta)).Fields()}
	all.Versions = append(all.Versions, next)
	all.Versions = all.Versions[max(0, len(all.Versions)-keptVersions):]
	data, err := seal(key, all)
	if err != nil {
		return "", err
	}
	if err := durable.Call("secret.file", func() error { return durable.Write(path, data, 0o600) }); err != nil {
		return "", rekey.Errorf(rekey.KindUnavailable, "%s cannot be written: %w", path, err).WithHint("see whether the disk is full or read-only; what was there is still there")
	}
	return next.Version, nil
}

// nextVersion counts, and ends in chance: a file that is deleted and made anew has
// no version twice.
func nextVersion(now secretstore.Version) secretstore.Version {
	count, _, _ := strings.Cut(string(now), ".")
	n, _ := strconv.Atoi(count)
	random := make([]byte, 3)
	_, _ = rand.Read(random) // it never fails: crypto/rand
	return secretstore.Version(strconv.Itoa(n+1) + "." + hex.EncodeToString(random))
}

// Versions lists what the file holds.
func (s *Store) Versions(_ context.Context, ref secretstore.Ref) ([]secretstore.VersionInfo, error) {
	all, err := s.read(ref)
	if err != nil {
		return nil, err
	}
	var list []secretstore.VersionInfo
	for i, v := range slices.Backward(all.Versions) {
		list = append(list, secretstore.VersionInfo{Version: v.Version, CreatedAt: v.At, Current: i == len(all.Versions)-1})
	}
	return list, nil
}

// List names the sealed files of a directory and the directories in it. Nothing is
// opened but the first line of each.
func (s *Store) List(_ context.Context, place secretstore.Ref) ([]secretstore.Entry, error) {
	entries, err := os.ReadDir(place.Name)
	if err != nil {
		return nil, rekey.Errorf(kindOf(err), "%s cannot be listed: %w", place.Name, err).WithHint("name a directory: `rekey secret list file:///DIRECTORY/`")
	}
	var list []secretstore.Entry
	for _, e := range entries {
		path := filepath.Join(place.Name, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			list = append(list, secretstore.Entry{Ref: place.With(path+"/", ""), Place: true})
		case e.Type().IsRegular() && isSealed(path):
			list = append(list, secretstore.Entry{Ref: place.With(path, "")})
		}
	}
	return list, nil
}

// Delete removes the file, also one whose key is lost.
func (s *Store) Delete(ctx context.Context, ref secretstore.Ref) error {
	path, unlock, err := s.lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return secretstore.Missing(ref, "there is no such file")
	}
	if !isSealed(path) {
		return notSealed(ref, path)
	}
	return durable.Call("secret.remove", func() error { return os.Remove(path) })
}

// Close does nothing.
func (s *Store) Close() error { return nil }
