package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rekey"
)

// How is the way a file's content is replaced.
type How string

// The ways, from the safest to the last resort.
const (
	Exchange How = "exchange" // the new file and the old one swap names at once
	Rename   How = "rename"   // the new file takes the name; where exchange is not to be had
	InPlace  How = "in place" // the bytes are written over; not atomic
)

// Replaced says what Replace did.
type Replaced struct {
	Path    string // the real file, symbolic links resolved
	How     How
	ModTime time.Time // strictly newer than before
}

// Option is what a caller of Replace permits.
type Option int

// AllowInPlace permits writing over the file's own bytes where neither exchange
// nor rename can be had: a bind-mounted file, a directory that may not be
// written, an owner or label that a new file could not have. A crash half way
// leaves a torn file, so the caller has sealed the old image first.
const AllowInPlace Option = 1

// Pinned tells what cannot be seen of the file itself: another process has this
// inode, not the name, as a single file that is mounted into a container. A new
// file would never reach it, and the old one would be gone: the file is written
// in place, where AllowInPlace permits it.
const Pinned Option = 2

// Replace changes the content of path from expect to next. Symbolic links stay;
// so do mode, owner, ACL and labels; the modification time becomes strictly
// newer, which is what gitlab-runner reloads on.
//
// gitlab-runner truncates and writes config.toml without a lock. A content other
// than expect, before or at the moment of the exchange, is KindConflict, and the
// other writer's content is what path holds afterwards. By exchange a crash at
// any moment leaves the old or the new file whole, and at most one copy that
// CleanStale settles. On an error path holds what it held, but where the kind is
// unavailable and the disk failed after the exchange: look before going on.
func Replace(path string, expect, next []byte, opts ...Option) (Replaced, error) {
	t, err := openTarget(path)
	if err != nil {
		return Replaced{}, err
	}
	if err := t.holds(expect); err != nil {
		return Replaced{}, err
	}
	t.pinned = slices.Contains(opts, Pinned)
	var hindered *onlyInPlace
	how, err := t.swap(expect, next)
	if errors.As(err, &hindered) {
		if !slices.Contains(opts, AllowInPlace) {
			return Replaced{}, rekey.Errorf(rekey.KindDenied, "%s can only be written in place: %s", t.path, hindered.reason).
				WithHint("writing in place is not atomic and needs the caller's permission")
		}
		how, err = InPlace, t.overwrite(expect, next)
	}
	if err != nil {
		return Replaced{}, err
	}
	info, err := os.Stat(t.path)
	if err != nil {
		return Replaced{}, failure("read", t.path, err)
	}
	return Replaced{Path: t.path, How: how, ModTime: info.ModTime()}, nil
}

// onlyInPlace says why a new file cannot take the target's place.
type onlyInPlace struct{ reason string }

func (e *onlyInPlace) Error() string { return e.reason }

// target is a regular file that is to be replaced.
type target struct {
	path   string // real
	dir    string
	info   fs.FileInfo
	pinned bool // as Pinned says
}

// only says why the target can only be written in place, as far as it can be
// told beforehand; "" when a new file seems to be able to take its place.
func (t *target) only() string {
	if t.pinned {
		return "it is mounted by itself where gitlab-runner runs, which would keep the old file"
	}
	return t.hindrance()
}

func openTarget(path string) (*target, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, failure("read", path, err)
	}
	resolved, err = filepath.Abs(resolved)
	if err != nil {
		return nil, failure("read", path, err)
	}
	info, err := os.Lstat(resolved)
	if err != nil {
		return nil, failure("read", resolved, err)
	}
	if !info.Mode().IsRegular() {
		return nil, rekey.Errorf(rekey.KindInvalid, "%s is not a regular file", resolved)
	}
	return &target{path: resolved, dir: filepath.Dir(resolved), info: info}, nil
}

// holds fails with KindConflict when the content is not expect.
func (t *target) holds(expect []byte) error {
	now, err := os.ReadFile(t.path)
	if err != nil {
		return failure("read", t.path, err)
	}
	if !bytes.Equal(now, expect) {
		return t.conflict()
	}
	return nil
}

func (t *target) conflict() *rekey.Error {
	return rekey.Errorf(rekey.KindConflict, "%s was changed by another process meanwhile", t.path).
		WithHint("nothing was changed; run the command again, it starts from what the file holds now")
}

// The file's replacement, call by call:
//
//	open(.NAME.rekey-X.tmp, O_CREAT|O_EXCL, 0600), write
//	fchown, fchmod, fsetxattr, utimensat, fsync    as the old file has them
//	rename(.tmp, .NAME.rekey-OLD-NEW.swap)         complete, so no longer .tmp
//	renameat2(.swap, NAME, RENAME_EXCHANGE)        .swap is now what came out
//	read(.swap): the expected bytes, else back     another process wrote meanwhile
//	fsync(directory)
//	read(.swap) again, unlink(.swap)               it holds the old token
//	fsync(directory)
//
// Where there is no exchange:
//
//	rename(.swap, .NAME.rekey-Y.tmp)
//	link(NAME, .swap)                              so that .swap is what comes out
//	rename(.tmp, NAME), and on as above
func (t *target) swap(expect, next []byte) (How, error) {
	if reason := t.only(); reason != "" {
		return "", &onlyInPlace{reason}
	}
	temp, aside := tempName(t.path), swapName(t.path, expect, next)
	err := writeTemp("replace", temp, next, func(f *os.File) error { return t.dress(f) })
	if err != nil {
		var denied *rekey.Error
		if errors.As(err, &denied) && errors.Is(denied.Err, fs.ErrPermission) {
			return "", &onlyInPlace{"no file can be created in " + t.dir}
		}
		return "", err
	}
	if err := Call("replace.aside", func() error { return os.Rename(temp, aside) }); err != nil {
		_ = Call("replace.temp.remove", func() error { return os.Remove(temp) })
		return "", failure("rename", temp, err)
	}
	how, spent, err := t.trade(aside, expect, next)
	if spent {
		err = errors.Join(err, t.forget(aside))
	}
	return how, err
}

// trade puts aside in the place of the target. When what comes out is not what
// was expected, somebody wrote meanwhile: that content goes back, and what comes
// out then must be what was put there, for the same reason. It looks twice, for
// a writer that had opened the old file before the exchange. Spent says that
// aside holds nothing that is needed; otherwise CleanStale settles it.
func (t *target) trade(aside string, expect, next []byte) (how How, spent bool, err error) {
	placed, want := next, expect
	for round := 0; round < 5; round++ {
		err := Call("replace.exchange", func() error { return exchange(aside, t.path) })
		if err != nil && round == 0 {
			return t.rename(aside, expect, next, err)
		}
		if err != nil {
			return "", false, failure("exchange back", t.path, err)
		}
		out, err := t.cameOut(aside, want)
		if err != nil {
			return "", false, err
		}
		if out == nil {
			return Exchange, true, conflictAfter(round, t)
		}
		placed, want = out, placed
	}
	return "", false, t.conflict()
}

func conflictAfter(round int, t *target) error {
	if round > 0 {
		return t.conflict()
	}
	return nil
}

// cameOut returns nil when aside holds want, also after the exchange is durable;
// otherwise what it holds.
func (t *target) cameOut(aside string, want []byte) ([]byte, error) {
	for _, settle := range []func() error{nil, func() error { return syncDir("replace", t.dir) }} {
		if settle != nil {
			if err := settle(); err != nil {
				return nil, err
			}
		}
		out, err := os.ReadFile(aside)
		if err != nil {
			return nil, failure("read", aside, err)
		}
		if !bytes.Equal(out, want) {
			return append([]byte{}, out...), nil
		}
	}
	return nil, nil
}

// rename is for file systems without exchange; why is the exchange's error. Spent
// is as of trade.
func (t *target) rename(aside string, expect, next []byte, why error) (how How, spent bool, err error) {
	switch {
	case isMountPoint(why):
		return "", true, &onlyInPlace{"it is a mount point of its own"}
	case errors.Is(why, fs.ErrPermission):
		return "", true, &onlyInPlace{"no file can be renamed in " + t.dir}
	case !isUnsupported(why):
		return "", true, failure("exchange", t.path, why)
	}
	if err := t.holds(expect); err != nil {
		return "", true, err
	}
	return t.supplant(aside, expect, next)
}

// supplant has what lies aside take the target's name. A second link keeps the
// old file meanwhile, under the name that what comes out of an exchange has: what
// another process writes into it at that moment goes back. Where there are no
// links such a write is lost.
func (t *target) supplant(aside string, expect, next []byte) (how How, spent bool, err error) {
	temp := tempName(t.path)
	if err := Call("replace.again", func() error { return os.Rename(aside, temp) }); err != nil {
		return "", true, failure("rename", aside, err)
	}
	kept := Call("replace.link", func() error { return os.Link(t.path, aside) }) == nil
	if err := Call("replace.rename", func() error { return os.Rename(temp, t.path) }); err != nil {
		_ = Call("replace.temp.remove", func() error { return os.Remove(temp) })
		return "", true, failure("rename", temp, err)
	}
	if !kept {
		return Rename, true, syncDir("replace", t.dir)
	}
	switch out, err := t.cameOut(aside, expect); {
	case err != nil:
		return "", false, err
	case out == nil:
		return Rename, true, nil
	}
	if t.holds(next) != nil { // written twice: the later stays, CleanStale names both
		return "", false, t.conflict()
	}
	if err := Call("replace.rename.back", func() error { return os.Rename(aside, t.path) }); err != nil {
		return "", false, failure("rename back", t.path, err)
	}
	return "", true, errors.Join(t.conflict(), syncDir("replace", t.dir))
}

// forget removes the copy aside, if rename has not used it up.
func (t *target) forget(aside string) error {
	err := Call("replace.forget", func() error { return os.Remove(aside) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failure("remove", aside, err).WithHint("remove %s: it holds a runner token", aside)
	}
	return syncDir("replace.forget", t.dir)
}

// newer returns a modification time strictly newer than old, given the one that
// the new content has; two seconds are the coarsest grain of a file system.
func newer(old, now time.Time) time.Time {
	if now.After(old) {
		return now
	}
	return old.Add(2 * time.Second)
}

func swapName(path string, expect, next []byte) string {
	return filepath.Join(filepath.Dir(path), SwapName(filepath.Base(path), expect, next))
}
