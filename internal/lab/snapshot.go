package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rekey"
	"rekey/internal/lazyregexp"
)

// Snapshot is a backup of the lab under DIR/snapshots/NAME: the database, and
// beside it, as GitLab's backups leave it to the administrator, the secrets.
type Snapshot struct {
	Name    string    `json:"name"`
	TakenAt time.Time `json:"taken_at"` // by the lab's clock
	Version string    `json:"gitlab_version"`
	Profile string    `json:"profile"`
	Bytes   int64     `json:"bytes"`
}

var namePattern = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkName(what, name string) error {
	if !namePattern.MatchString(name) {
		return rekey.Errorf(rekey.KindInvalid, "%q cannot name a %s", name, what).WithHint("use up to 64 letters, digits, dots, dashes and underscores")
	}
	return nil
}

func (r *Rehearsal) snapshotDir(name string) string {
	return filepath.Join(r.options.Dir, "snapshots", name)
}

// Snapshot saves the lab under name while it goes on serving: the copy is what was
// committed at one moment. A name is used once.
func (r *Rehearsal) Snapshot(ctx context.Context, name string) (Snapshot, error) {
	if err := checkName("snapshot", name); err != nil {
		return Snapshot{}, err
	}
	r.change.Lock()
	defer r.change.Unlock()
	s, err := r.server()
	if err != nil {
		return Snapshot{}, err
	}
	to := r.snapshotDir(name)
	if _, err := os.Lstat(to); err == nil {
		return Snapshot{}, rekey.Errorf(rekey.KindConflict, "there is a snapshot %s already", name).
			WithHint("choose another name, or remove it with `rekey lab snapshot --delete %s`", name)
	}
	made := Snapshot{Name: name, TakenAt: r.Clock().Now, Version: s.version.String(), Profile: s.profile}
	if err := s.backup(ctx, to, &made); err != nil {
		return Snapshot{}, rekey.Errorf(rekey.KindUnavailable, "take snapshot %s: %w", name, err)
	}
	return made, nil
}

// backup fills a directory beside to and renames it: a snapshot is whole or not
// there.
func (s *Server) backup(ctx context.Context, to string, about *Snapshot) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(to), ".taking-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if about.Bytes, err = s.store.copyTo(ctx, databasePath(dir)); err != nil {
		return err
	}
	if err := copyFile(secretsPath(s.dir), secretsPath(dir)); err != nil {
		return err
	}
	raw, err := json.Marshal(about)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, "snapshot.json"), append(raw, '\n')); err != nil {
		return err
	}
	return os.Rename(dir, to)
}

// Snapshots lists what can be restored, the oldest first.
func (r *Rehearsal) Snapshots() ([]Snapshot, error) {
	entries, err := os.ReadDir(r.snapshotDir(""))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, rekey.Errorf(rekey.KindUnavailable, "list the snapshots: %w", err)
	}
	list := []Snapshot{}
	for _, entry := range entries {
		if one, err := r.snapshot(entry.Name()); err == nil {
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b Snapshot) int { return cmp.Or(a.TakenAt.Compare(b.TakenAt), cmp.Compare(a.Name, b.Name)) })
	return list, nil
}

func (r *Rehearsal) snapshot(name string) (Snapshot, error) {
	if err := checkName("snapshot", name); err != nil {
		return Snapshot{}, err
	}
	raw, err := os.ReadFile(filepath.Join(r.snapshotDir(name), "snapshot.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, rekey.Errorf(rekey.KindNotFound, "there is no snapshot %s", name).WithHint("`rekey lab snapshot --list` shows what there is")
	}
	var found Snapshot
	if err == nil {
		err = json.Unmarshal(raw, &found)
	}
	if err != nil {
		return Snapshot{}, rekey.Errorf(rekey.KindInvalid, "snapshot %s cannot be read: %w", name, err)
	}
	found.Name = name
	return found, nil
}

// RemoveSnapshot deletes a snapshot.
func (r *Rehearsal) RemoveSnapshot(name string) error {
	r.change.Lock()
	defer r.change.Unlock()
	if _, err := r.snapshot(name); err != nil {
		return err
	}
	if err := os.RemoveAll(r.snapshotDir(name)); err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "remove snapshot %s: %w", name, err)
	}
	return nil
}

// Restore puts the database of a snapshot in the place of the lab's, version
// included: what was made since is gone, what was rotated since has its old token
// again. The secrets stay those of the lab, as with GitLab's own restore, unless
// withSecrets brings back those of the snapshot too.
func (r *Rehearsal) Restore(ctx context.Context, name string, withSecrets bool) (Snapshot, error) {
	r.change.Lock()
	defer r.change.Unlock()
	from, err := r.snapshot(name)
	if err != nil {
		return Snapshot{}, err
	}
	staged, err := os.MkdirTemp(r.options.Dir, ".restoring-")
	if err != nil {
		return Snapshot{}, rekey.Errorf(rekey.KindUnavailable, "restore snapshot %s: %w", name, err)
	}
	defer func() { _ = os.RemoveAll(staged) }()
	if err := stage(ctx, r.snapshotDir(name), staged); err != nil {
		return Snapshot{}, rekey.Errorf(rekey.KindInvalid, "snapshot %s cannot be restored: %w", name, err)
	}
	err = r.restart(ctx, func() error {
		if err := replaceDatabase(r.options.Dir, staged); err != nil || !withSecrets {
			return err
		}
		return os.Rename(secretsPath(staged), secretsPath(r.options.Dir))
	})
	return from, err
}
