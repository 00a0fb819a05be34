package ssh

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/host"
)

// ability is what decides whether and how a file there can be replaced.
type ability struct {
	real    string
	inPlace string // why only its own bytes can be written over, "" when a new file can take its place
}

// CheckWritable fails, with a hint, where Replace could not change the file. It
// changes nothing.
func (h *Host) CheckWritable(name string) error {
	_, err := h.able(name)
	return err
}

func (h *Host) able(name string) (ability, error) {
	if h.system != "Linux" {
		return ability{}, rekey.Errorf(rekey.KindInvalid, "%s runs %s, and configs of Linux hosts alone are changed over ssh", h.target.Name(), printable(h.system)).
			WithHint("run rekey on that host itself")
	}
	switch e := h.lookAgain(name); {
	case e.obstacle == "denied":
		return ability{}, h.denied(name)
	case e.obstacle != "" || e.kind != "file":
		return ability{}, h.readable(name, e, 0)
	}
	a, err := h.session.ask("able", mostLine, name, nil)
	if err != nil {
		return ability{}, err
	}
	able := ability{real: a.said("real")}
	switch {
	case !path.IsAbs(able.real):
		return able, rekey.Errorf(rekey.KindInvalid, "where %s lies cannot be told: readlink -f is not there", name).WithHint("run rekey on that host itself")
	case !a.marks["summed"]:
		return able, rekey.Errorf(rekey.KindInvalid, "%s has neither sha256sum nor openssl: what a file holds cannot be compared there", h.target.Name()).WithHint("run rekey on that host itself")
	case strings.ContainsAny(a.facts["flags"], "ia"):
		return able, h.flagged(able.real)
	case strings.ContainsAny(a.facts["dirflags"], "ia"):
		return able, h.flagged(path.Dir(able.real))
	case h.roomless(a):
		return able, rekey.Errorf(rekey.KindUnavailable, "no room for a second copy of %s of %s", able.real, h.target.Name()).WithHint("make room on its file system")
	case h.nodeless(a):
		return able, rekey.Errorf(rekey.KindUnavailable, "no file can be made beside %s of %s: its file system has no inode left", able.real, h.target.Name()).WithHint("remove files there: %s df -i %s", h.target.command(), path.Dir(able.real))
	case h.MountedReadOnly(able.real):
		return able, rekey.Errorf(rekey.KindDenied, "%s of %s: its file system is mounted read-only", able.real, h.target.Name()).WithHint("change it where it is mounted from")
	case !a.marks["roomy"], !a.marks["writable"]:
		return able, h.denied(name)
	}
	if able.inPlace = h.hindrance(a, able.real); able.inPlace == "" {
		able.inPlace = h.mountedAlone(name, able.real)
	}
	return able, nil
}

func (h *Host) flagged(name string) error {
	return rekey.Errorf(rekey.KindDenied, "%s of %s has the immutable or append-only flag", name, h.target.Name()).
		WithHint("chattr -ia %s on that host, or change the file where it is made", name)
}

func (h *Host) denied(name string) error {
	return rekey.Errorf(rekey.KindDenied, "%s of %s may not be changed by the user %s there", name, h.target.Name(), h.user).
		WithHint("root may: give %s, or --become where the user's sudo asks for no password", h.root())
}

// roomless leaves 64 KiB beyond a second copy.
func (h *Host) roomless(a answer) bool {
	free, err := strconv.ParseInt(a.facts["free"], 10, 64)
	size, err2 := strconv.ParseInt(a.facts["size"], 10, 64)
	return err == nil && err2 == nil && free*1024 < size+64<<10
}

// nodeless reports whether no further file can be made. A file system that makes inodes
// as it needs them says 0 of 0.
func (h *Host) nodeless(a answer) bool {
	nodes := strings.Fields(a.facts["inodes"]) // all, free
	return len(nodes) == 2 && nodes[0] != "0" && (nodes[1] == "0" || nodes[1] == "1")
}

// MountedReadOnly reports whether this login sees the file on a read-only mount. How
// gitlab-runner sees it is no matter: it is this login that writes.
func (h *Host) MountedReadOnly(real string) bool {
	return host.MountedReadOnly(h.kernel("/proc/self/mounts"), real)
}

// hindrance says why a new file cannot take the file's place.
func (h *Host) hindrance(a answer, real string) string {
	owner, dir, groups := strings.Fields(a.facts["owner"]), strings.Fields(a.facts["dir"]), strings.Fields(a.facts["groups"])
	me := strconv.Itoa(h.uid)
	switch {
	case len(owner) != 3 || len(dir) != 2:
		return "its owner cannot be told"
	case owner[2] != "1":
		return "it has a second hard link"
	case h.uid != 0 && (owner[0] != me || !slices.Contains(groups, owner[1])):
		return "a new file could not have its owner and group"
	case len(dir[1]) == 4 && (dir[1][0]-'0')&1 != 0 && h.uid != 0 && me != owner[0] && me != dir[0]:
		return "only its owner may rename it in " + path.Dir(real)
	}
	return ""
}

// Replace changes the content of a file from expect to next, as durable.Replace
// does here: a content other than expect is KindConflict and stays. How is "rename",
// or "in place" where no new file can take the file's place; a crash half way then
// leaves a torn file, so the caller has sealed the old image first. An error of kind
// unavailable leaves open whether it was done: look before going on. The directory
// has to be locked.
func (h *Host) Replace(name string, expect, next []byte) (how string, err error) {
	h.seen = map[string]entry{}
	h.running, h.problem = h.processes() // a container may have begun since
	able, err := h.able(name)
	if err != nil {
		return "", err
	}
	if !h.locked(path.Dir(able.real)) {
		return "", rekey.Errorf(rekey.KindUnavailable, "the lock of %s was lost with the connection", path.Dir(able.real)).WithHint("run the command again: it resumes")
	}
	way := "rename"
	if able.inPlace != "" {
		way = "inplace"
	}
	base := path.Base(able.real)
	mark := durable.Mark(expect) + "-" + durable.Mark(next)
	temp := strings.TrimSuffix(strings.TrimPrefix(durable.TempName(base), "."+base+".rekey-"), ".tmp")
	var a answer
	err = durable.Call("ssh.replace", func() error {
		a, err = h.session.order(question{name: "put", limit: len(next), path: able.real, data: next,
			words: strings.Join([]string{sum(expect), sum(next), mark, temp, way}, " ")})
		return err
	})
	delete(h.seen, name)
	if err != nil {
		return "", err
	}
	if how := a.facts["how"]; how != "" {
		return printable(how), nil
	}
	return "", h.unchanged(able.real, a)
}

// unchanged says why a file was not replaced.
func (h *Host) unchanged(real string, a answer) error {
	switch a.obstacle {
	case "moved":
		return rekey.Errorf(rekey.KindConflict, "%s was changed by another process meanwhile", real).
			WithHint("nothing was changed; run the command again, it starts from what the file holds now")
	case "moving":
		return rekey.Errorf(rekey.KindConflict, "%s is being written by another process again and again", real).WithHint("find out what writes it, then run the command again")
	case "full", "unwritten":
		return rekey.Errorf(rekey.KindUnavailable, "the new content of %s of %s could not be written", real, h.target.Name()).
			WithHint("the file is as it was; make room on its file system, or see what keeps the user %s from writing it, then run the command again", h.user)
	case "nofile":
		hint := fmt.Sprintf("the file is as it was; see whether its file system has room and inodes left (%s df -i %s), then run the command again", h.target.command(), path.Dir(real))
		if h.uid != 0 {
			hint += "; root may: " + h.root() + ", or --become"
		}
		return rekey.Errorf(rekey.KindUnavailable, "no file can be made in %s of %s", path.Dir(real), h.target.Name()).WithHint("%s", hint)
	case "torn":
		return rekey.Errorf(rekey.KindUnavailable, "%s was torn while it was written in place, and what it held before could not be put back", real).
			WithHint("make room on its file system, then run the command again: the image from before is sealed in the journal")
	case "norename":
		return rekey.Errorf(rekey.KindDenied, "%s could not be replaced: %s", real, lastLine(a.said("said"))).WithHint("nothing was changed")
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s was not replaced (%s)", real, printable(a.obstacle)).WithHint("try it: %s", h.target.command())
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// lock is a directory that is locked.
type lock struct {
	dir   string
	users int
}

// slots are the descriptors that every sh can be told of by one digit.
const firstSlot, lastSlot = 4, 9

func (h *Host) locked(dir string) bool {
	for _, l := range h.locks {
		if l.dir == dir {
			return true
		}
	}
	return false
}

// Lock keeps every other rekey, there and elsewhere, out of the directory in which
// the config really lies, until unlock is called or the connection ends. It settles
// what a killed replacement left there. A lock that is held is KindConflict at once.
func (h *Host) Lock(name string) (unlock func(), err error) {
	e := h.lookAgain(name)
	if e.obstacle == "gone" {
		return nil, h.readable(name, e, 0)
	}
	dir := path.Dir(name)
	if path.IsAbs(e.real) {
		dir = path.Dir(e.real)
	}
	slot := 0
	for n := firstSlot; n <= lastSlot; n++ {
		if l := h.locks[n]; l != nil && l.dir == dir {
			l.users++
			return func() { h.unlock(n) }, nil
		} else if l == nil && slot == 0 {
			slot = n
		}
	}
	if slot == 0 {
		return nil, rekey.Errorf(rekey.KindInvalid, "configs in more than %d directories of %s are changed at once", lastSlot-firstSlot+1, h.target.Name()).WithHint("name fewer of them")
	}
	if err := h.lock(slot, dir); err != nil {
		return nil, err
	}
	if h.locks == nil {
		h.locks = map[int]*lock{}
	}
	h.locks[slot] = &lock{dir: dir, users: 1}
	if err := h.cleanStale(dir); err != nil {
		h.unlock(slot)
		return nil, err
	}
	return func() { h.unlock(slot) }, nil
}

func (h *Host) lock(slot int, dir string) error {
	var holders []string
	a, err := h.session.ask("lock", slot, dir, func(key, value string, _ []byte) {
		if key == "holder" {
			holders = append(holders, printable(value))
		}
	})
	held := rekey.Errorf(rekey.KindConflict, "another rekey works in %s of %s", dir, h.target.Name())
	switch {
	case err != nil:
		return err
	case a.marks["locked"]:
		return nil
	case a.obstacle == "held" && len(holders) > 0:
		return held.WithHint("wait for it to end; should it be the rest of a broken connection: %s kill %s", h.target.command(), strings.Join(holders, " "))
	case a.obstacle == "heldby":
		return held.WithHint("wait for it to end (%s); if none is there any more: %s rm -r %s/.rekey.lock", lastLine(a.said("said")), h.target.command(), dir)
	case a.obstacle == "held":
		return held.WithHint("wait for it to end")
	case a.obstacle == "nolock":
		return rekey.Errorf(rekey.KindUnavailable, "%s of %s cannot be locked: flock: %s", dir, h.target.Name(), lastLine(a.said("said"))).
			WithHint("what keeps flock from working there: %s flock -n %s true", h.target.command(), dir)
	}
	return rekey.Errorf(rekey.KindDenied, "the user %s may not look into %s there", h.user, dir).WithHint("root may: %s, or --become", h.root())
}

func (h *Host) unlock(slot int) {
	l := h.locks[slot]
	if l == nil {
		return
	}
	if l.users--; l.users > 0 {
		return
	}
	delete(h.locks, slot)
	_, _ = h.session.ask("unlock", slot, l.dir, nil) // or the connection has ended, and the lock with it
}

// cleanStale settles what a replacement that was cut off left in dir: see
// durable.CleanStale, whose names these copies have.
func (h *Host) cleanStale(dir string) error {
	var names []string
	_, err := h.session.ask("copies", mostLine, dir, func(key, value string, _ []byte) {
		if data, err := unhex(nil, value); key == "copy" && err == nil {
			names = append(names, string(data))
		}
	})
	for _, name := range names {
		if err != nil {
			return err
		}
		of, expect, next, ok := durable.ParseCopy(name)
		if ok && !strings.Contains(name, "/") {
			err = h.settle(path.Join(dir, name), path.Join(dir, of), expect, next)
		}
	}
	return err
}

// settle puts a copy back where somebody's writing into the old file came out with
// it, and removes any other.
func (h *Host) settle(aside, file, expect, next string) error {
	const most = 64 << 20
	if expect != "" {
		out, err := h.read(aside, most)
		if err != nil {
			return err
		}
		if m := durable.Mark(out); m != expect && m != next {
			now, err := h.read(file, most)
			switch {
			case err != nil:
				return err
			case slices.Equal(now, out):
			case durable.Mark(now) != next:
				return rekey.Errorf(rekey.KindConflict, "%s and %s of %s were both changed by another process", file, aside, h.target.Name()).
					WithHint("keep the one that gitlab-runner wrote last, remove %s", aside)
			default:
				return h.putBack(aside, file)
			}
		}
	}
	return durable.Call("ssh.stale.remove", func() error {
		a, err := h.session.ask("forget", 0, aside, nil)
		if err == nil && a.obstacle != "" {
			err = rekey.Errorf(rekey.KindDenied, "%s could not be removed: it may hold a runner token", aside).WithHint("see why: %s rm %s", h.target.command(), aside)
		}
		return err
	})
}

func (h *Host) putBack(aside, file string) error {
	return durable.Call("ssh.stale.putback", func() error {
		a, err := h.session.order(question{name: "putback", path: aside, words: octal(path.Base(file))})
		if err == nil && a.obstacle != "" {
			err = rekey.Errorf(rekey.KindDenied, "%s could not be put back in the place of %s", aside, file).WithHint("do it by hand: %s", h.target.command())
		}
		return err
	})
}
