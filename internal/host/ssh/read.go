package ssh

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
	"rekey/internal/host"
)

// entry is what look tells of a path.
type entry struct {
	obstacle          string // "", "missing", "dangling", "denied", "loop", "notdir", "gone"
	kind              string // "file", "directory", …
	link              string // where a dangling link leads
	real              string // without symbolic links
	linked            bool
	unreadable        bool
	size              int64
	inode             string
	modified, changed time.Time
	generated         string // set when it was read
}

// look asks once for each path.
func (h *Host) look(name string) entry {
	if e, ok := h.seen[name]; ok {
		return e
	}
	e := h.lookAgain(name)
	h.seen[name] = e
	return e
}

func (h *Host) lookAgain(name string) entry {
	a, err := h.session.ask("look", mostLine, name, nil)
	if err != nil {
		return entry{obstacle: "gone"}
	}
	e := entry{obstacle: a.obstacle, kind: a.facts["kind"], link: printable(a.said("link")), real: a.said("real"), linked: a.marks["link"], unreadable: a.marks["unreadable"]}
	if words := strings.Fields(a.facts["stat"]); len(words) == 4 {
		var modified, changed int64
		e.size, _ = strconv.ParseInt(words[0], 10, 64)
		modified, _ = strconv.ParseInt(words[1], 10, 64)
		changed, _ = strconv.ParseInt(words[2], 10, 64)
		e.modified, e.changed, e.inode = time.Unix(modified, 0), time.Unix(changed, 0), words[3]
	}
	return e
}

// Read returns a config's bytes. Errors are those of host.Host's Read.
func (h *Host) Read(name string) ([]byte, error) {
	data, err := h.read(name, host.MaxConfig)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, host.Empty(name)
	}
	e := h.look(name)
	e.generated = generated(e, data)
	h.seen[name] = e
	return data, nil
}

func generated(e entry, data []byte) string {
	switch {
	case strings.Contains(e.real, "/nix/store/"):
		return "NixOS"
	case strings.Contains(e.real, "/..data/") || e.linked && strings.Contains(e.real, "/..20"):
		return "a Kubernetes ConfigMap or Secret"
	}
	return host.GeneratedBy(data)
}

// read returns at most limit bytes of a regular file, again while its size moves:
// gitlab-runner truncates and writes in place.
func (h *Host) read(name string, limit int) ([]byte, error) {
	var data []byte
	for range 3 {
		e := h.lookAgain(name)
		h.seen[name] = e
		if e.obstacle == "denied" || e.obstacle == "" && e.unreadable {
			return h.readAsRoot(name, limit)
		}
		if err := h.readable(name, e, limit); err != nil {
			return nil, err
		}
		a, err := h.session.ask("content", limit+1, name, nil)
		switch {
		case err != nil:
			return nil, err
		case a.obstacle != "":
			return h.readAsRoot(name, limit)
		case len(a.data) > limit:
			return nil, host.TooLarge(name, limit)
		}
		if data = a.data; int64(len(data)) == e.size || e.inode == "" {
			break
		}
	}
	return data, nil
}

func (h *Host) readable(name string, e entry, limit int) error {
	switch {
	case e.obstacle == "gone":
		return rekey.Errorf(rekey.KindUnavailable, "%s: the connection broke off before it was read", name)
	case e.obstacle == "loop":
		return rekey.Errorf(rekey.KindInvalid, "%s: symbolic links lead in a circle", name).WithHint("see where they lead: %s ls -l %s", h.target.command(), name)
	case e.obstacle == "dangling":
		return rekey.Errorf(rekey.KindNotFound, "%s is a symbolic link to %s, which does not exist", name, e.link).WithHint("a volume that is not mounted leaves such a link")
	case e.obstacle == "notdir":
		return rekey.Errorf(rekey.KindNotFound, "%s: a part of the path is not a directory", name)
	case e.obstacle != "":
		return rekey.Errorf(rekey.KindNotFound, "%s does not exist", name).WithHint("leave the path out: the standard locations and the arguments of a running gitlab-runner are looked at then")
	case e.kind == "directory":
		return rekey.Errorf(rekey.KindInvalid, "%s is a directory", name).WithHint("name the file: %s", path.Join(name, "config.toml"))
	case e.kind != "file":
		return rekey.Errorf(rekey.KindInvalid, "%s is not a regular file (%s)", name, e.kind)
	case e.size > int64(limit):
		return host.TooLarge(name, limit)
	}
	return nil
}

// readAsRoot tries sudo once, without a password, where the user may not read.
func (h *Host) readAsRoot(name string, limit int) ([]byte, error) {
	denied := rekey.Errorf(rekey.KindDenied, "%s may not be read by the user %s there", name, h.user)
	if h.uid == 0 {
		return nil, denied
	}
	denied = denied.WithHint("root may: give %s, or allow the user `sudo cat %s` without a password (sudoers: %s ALL=(root) NOPASSWD: /usr/bin/cat %s)", h.root(), name, h.user, name)
	a, err := h.session.ask("asroot", limit+1, name, nil)
	switch {
	case err != nil:
		return nil, err
	case a.obstacle == "missing":
		return nil, rekey.Errorf(rekey.KindNotFound, "%s does not exist", name)
	case a.obstacle == "notfile":
		return nil, rekey.Errorf(rekey.KindInvalid, "%s is a directory", name)
	case a.obstacle != "":
		return nil, denied
	case len(a.data) > limit:
		return nil, host.TooLarge(name, limit)
	}
	if !slices.Contains(h.withSudo, name) {
		h.withSudo = append(h.withSudo, name)
	}
	return a.data, nil
}

// root is the target as the user root.
func (h *Host) root() string {
	t := h.target
	t.User, t.Alias = "root", ""
	return fmt.Sprintf("--host %s%s", t.Name(), t.Path)
}
