package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"rekey"
)

func TestReplaceKeepsAttributesAndOwner(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	if err := unix.Setxattr(path, "user.rekey.test", []byte("kept"), 0); err != nil {
		t.Skipf("SKIPPED: no user attributes on this file system: %v", err)
	}
	if os.Geteuid() == 0 {
		must(t, os.Chown(path, 12345, 54321))
	}
	before := stat(t, path)
	got, err := Replace(path, []byte(oldContent), []byte(newContent))
	must(t, err)
	if value, err := attribute(path, "user.rekey.test"); err != nil || string(value) != "kept" {
		t.Errorf("attribute is %q (%v), want \"kept\"", value, err)
	}
	if a, b := owner(before), owner(stat(t, path)); a != b {
		t.Errorf("owner is %v, want %v", b, a)
	}
	if got.How != Exchange {
		t.Errorf("replaced by %q, want %q", got.How, Exchange)
	}
}

// An access list: the owner may read and write, user 12345 may read.
var accessList = []byte{2, 0, 0, 0,
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	2, 0, 4, 0, 0x39, 0x30, 0, 0,
	4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
	0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
}

func TestReplaceKeepsTheAccessList(t *testing.T) {
	t.Parallel()
	const name = "system.posix_acl_access"
	path := config(t, oldContent)
	if err := unix.Setxattr(path, name, accessList, 0); err != nil {
		t.Skipf("SKIPPED: no access lists on this file system: %v", err)
	}
	_, err := Replace(path, []byte(oldContent), []byte(newContent))
	must(t, err)
	if got, err := attribute(path, name); err != nil || !bytes.Equal(got, accessList) {
		t.Errorf("access list is %v (%v), want %v", got, err, accessList)
	}
}

// A directory may give new files an access list that the old one never had.
func TestReplaceGivesNoInheritedAccess(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	must(t, os.Chmod(path, 0o640))
	if err := unix.Setxattr(filepath.Dir(path), "system.posix_acl_default", accessList, 0); err != nil {
		t.Skipf("SKIPPED: no access lists on this file system: %v", err)
	}
	_, err := Replace(path, []byte(oldContent), []byte(newContent))
	must(t, err)
	if got, err := attribute(path, accessACL); err == nil {
		t.Errorf("access list is %v, want none", got)
	}
	if mode := stat(t, path).Mode(); mode != 0o640 {
		t.Errorf("mode is %v, want 0640", mode)
	}
}

// Where the file system has no exchange the new file takes the name.
func TestReplaceWithoutExchange(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	target, err := openTarget(path)
	must(t, err)
	aside := swapName(path, []byte(oldContent), []byte(newContent))
	must(t, os.WriteFile(aside, []byte(newContent), 0o600))
	if how, _, err := target.rename(aside, []byte("something else"), []byte(newContent), unix.EINVAL); err == nil {
		t.Errorf("replaced by %q what was not expected", how)
	}
	wantContent(t, path, oldContent)
	how, spent, err := target.rename(aside, []byte(oldContent), []byte(newContent), unix.EINVAL)
	if how != Rename || !spent || err != nil {
		t.Errorf("replaced by %q (%v), want %q", how, err, Rename)
	}
	wantContent(t, path, newContent)
	wantContent(t, aside, oldContent)
	must(t, target.forget(aside))
	wantAlone(t, path)
	for _, why := range []error{unix.EBUSY, unix.EXDEV, unix.EPERM} {
		if _, _, err := target.rename(aside, nil, nil, why); !errors.As(err, new(*onlyInPlace)) {
			t.Errorf("%v leads to %v, want writing in place", why, err)
		}
	}
}

func TestHardLinkIsWrittenInPlace(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	second := filepath.Join(filepath.Dir(path), "second")
	must(t, os.Link(path, second))
	wantInPlace(t, path)
	wantContent(t, second, newContent)
}

func TestBindMountIsWrittenInPlace(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	mount(t, path, path, "", unix.MS_BIND, "")
	wantInPlace(t, path)
	wantAlone(t, path)
}

func TestPinnedIsWrittenInPlace(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	if how, err := CheckWritable(path, Pinned); how != InPlace || err != nil {
		t.Errorf("CheckWritable says %q (%v), want %q", how, err, InPlace)
	}
	_, err := Replace(path, []byte(oldContent), []byte(newContent), Pinned)
	wantKind(t, err, rekey.KindDenied)
	wantContent(t, path, oldContent)
	before := stat(t, path)
	got, err := Replace(path, []byte(oldContent), []byte(newContent), Pinned, AllowInPlace)
	must(t, err)
	wantContent(t, path, newContent)
	if got.How != InPlace || inode(stat(t, path)) != inode(before) {
		t.Errorf("replaced by %q, inode %d; want in place, inode %d", got.How, inode(stat(t, path)), inode(before))
	}
}

// wantInPlace checks that path is told to need writing in place, is refused
// without the permission, and is written with it.
func wantInPlace(t *testing.T, path string) {
	t.Helper()
	if how, err := CheckWritable(path); how != InPlace || err != nil {
		t.Errorf("CheckWritable says %q (%v), want %q", how, err, InPlace)
	}
	_, err := Replace(path, []byte(oldContent), []byte(newContent))
	wantKind(t, err, rekey.KindDenied)
	wantContent(t, path, oldContent)
	before := stat(t, path)
	got, err := Replace(path, []byte(oldContent), []byte(newContent), AllowInPlace)
	must(t, err)
	wantContent(t, path, newContent)
	if got.How != InPlace || inode(stat(t, path)) != inode(before) {
		t.Errorf("replaced by %q, inode %d; want in place, inode %d", got.How, inode(stat(t, path)), inode(before))
	}
	if !got.ModTime.After(before.ModTime()) {
		t.Errorf("modification time %v is not after %v", got.ModTime, before.ModTime())
	}
	_, err = Replace(path, []byte(newContent), []byte("short"), AllowInPlace)
	must(t, err)
	wantContent(t, path, "short")
	must(t, os.WriteFile(path, []byte(newContent), 0o600))
	_, err = Replace(path, []byte(oldContent), []byte("short"), AllowInPlace)
	wantKind(t, err, rekey.KindConflict)
	wantContent(t, path, newContent)
}

func TestReadOnlyMountIsFoundBeforehand(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	dir := filepath.Dir(path)
	mount(t, dir, dir, "", unix.MS_BIND, "")
	must(t, unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	_, err := CheckWritable(path)
	wantHint(t, err, rekey.KindDenied, "read-only")
	_, err = Replace(path, []byte(oldContent), []byte(newContent), AllowInPlace)
	wantKind(t, err, rekey.KindDenied)
	wantContent(t, path, oldContent)
}

func TestImmutableFlagIsFoundBeforehand(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	flags := inodeFlags(path)
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|flagImmutable); err != nil {
		t.Skipf("SKIPPED: the immutable flag cannot be set here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)) })
	_, err = CheckWritable(path)
	if e := (*rekey.Error)(nil); !errors.As(err, &e) || e.Kind != rekey.KindDenied {
		t.Errorf("got error %v, want kind %q", err, rekey.KindDenied)
	}
	_, err = Replace(path, []byte(oldContent), []byte(newContent), AllowInPlace)
	wantKind(t, err, rekey.KindDenied)
	wantContent(t, path, oldContent)
	wantAlone(t, path)
}

func TestFullDiskLeavesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "none", dir, "tmpfs", 0, "size=256k")
	path := filepath.Join(dir, "config.toml")
	must(t, os.WriteFile(path, []byte(oldContent), 0o600))
	if how, err := CheckWritable(path); how != Exchange || err != nil {
		t.Errorf("CheckWritable says %q (%v), want %q", how, err, Exchange)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("the disk did not fill")
	}
	large := []byte(strings.Repeat(newContent, 200))
	_, err := CheckWritable(path)
	wantHint(t, err, rekey.KindUnavailable, "make room")
	_, err = Replace(path, []byte(oldContent), large)
	wantHint(t, err, rekey.KindUnavailable, "make room")
	wantContent(t, path, oldContent)
	target, err := openTarget(path)
	must(t, err)
	err = target.overwrite([]byte(oldContent), large)
	wantHint(t, err, rekey.KindUnavailable, "make room")
	wantContent(t, path, oldContent)
	err = WriteNew(filepath.Join(dir, "sealed"), large, 0o600)
	wantHint(t, err, rekey.KindUnavailable, "make room")
	l, err := OpenLog(filepath.Join(dir, "journal"))
	must(t, err)
	defer l.Close()
	wantKind(t, l.Append(bytes.Repeat([]byte("x"), 8192)), rekey.KindUnavailable)
	must(t, os.Remove(filler))
	must(t, l.Append([]byte("after")))
	wantRecords(t, l.Path(), "after")
	if names := beside(t, path); len(names) != 1 || names[0] != "journal" {
		t.Errorf("left behind: %v, want the journal only", names)
	}
}

func TestUnprivilegedUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can take another user's place")
	}
	dir, err := os.MkdirTemp("", "rekey-test-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "config.toml")
	must(t, os.WriteFile(path, []byte(oldContent), 0o600))
	asNobody(t, func() {
		_, err := CheckWritable(path)
		wantHint(t, err, rekey.KindDenied, "run as the user that owns")
	})
	must(t, os.Chmod(path, 0o666))
	asNobody(t, func() { wantInPlace(t, path) })
	wantAlone(t, path)
}

// asNobody runs fn on a thread that is nobody's; the thread ends with it.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		const nobody = 65534
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			t.Errorf("setresuid: %v", errno)
			return
		}
		fn()
	}()
	<-done
}

func TestLockNamesItsHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := LockDir(dir)
	must(t, err)
	defer unlock()
	_, err = LockDir(dir)
	wantHint(t, err, rekey.KindConflict, "process "+strconv.Itoa(os.Getpid()))
}

func wantHint(t *testing.T, err error, kind rekey.Kind, hint string) {
	t.Helper()
	wantKind(t, err, kind)
	if got := rekey.HintOf(err); !strings.Contains(got, hint) {
		t.Errorf("hint of %v is %q, want … %s …", err, got, hint)
	}
}

func mount(t *testing.T, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		t.Skipf("SKIPPED: mounting is not permitted here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(target, unix.MNT_DETACH)) })
}

func owner(info os.FileInfo) [2]uint32 {
	st := info.Sys().(*syscall.Stat_t)
	return [2]uint32{st.Uid, st.Gid}
}

func inode(info os.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }
