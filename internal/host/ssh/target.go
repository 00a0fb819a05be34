package ssh

import (
	"net/url"
	"path"
	"strconv"
	"strings"

	"rekey"
)

// Target is a host as ssh is told of it. Host may be an alias of the user's
// ~/.ssh/config.
type Target struct {
	User  string // "" leaves it to ssh
	Host  string
	Port  int    // 0 leaves it to ssh
	Key   string // a private key's file, "" leaves it to ssh
	Path  string // of the one config that is meant, "" for the usual places
	Alias string // in reports, "" for the address
	// Become has everything done as root, by sudo without a password.
	Become bool
}

const form = "write it as ssh://[user@]host[:port][/path/to/config.toml]"

// Parse reads ssh://[user@]host[:port][/path].
func Parse(address string) (Target, error) {
	refused := func(why string) (Target, error) {
		return Target{}, rekey.Errorf(rekey.KindInvalid, "%s: %s", withoutPassword(address), why).WithHint(form)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "ssh":
		return refused("this is no address of a host")
	case u.Host == "" || u.Hostname() == "":
		return refused("it names no host")
	case u.RawQuery != "" || u.Fragment != "":
		return refused("a ? or # has no meaning in it")
	}
	if _, secret := u.User.Password(); secret {
		return refused("a password has no place in it: ssh asks its agent or reads its own keys")
	}
	t := Target{User: u.User.Username(), Host: u.Hostname()}
	if text := u.Port(); text != "" {
		if t.Port, err = strconv.Atoi(text); err != nil || t.Port < 1 || t.Port > 65535 {
			return refused("the port is not between 1 and 65535")
		}
	}
	if u.Path != "" && u.Path != "/" {
		t.Path = path.Clean(u.Path)
	}
	return t, t.Check()
}

func withoutPassword(address string) string {
	before, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	authority, after, slash := strings.Cut(rest, "/")
	if user, host, both := strings.Cut(authority, "@"); both {
		name, _, _ := strings.Cut(user, ":")
		authority = name + "@" + host
	}
	if slash {
		authority += "/" + after
	}
	return before + "://" + authority
}

// Check refuses what ssh or a shell behind it could take for something else than
// a name.
func (t Target) Check() error {
	for what, text := range map[string]string{"host": t.Host, "user": t.User} {
		if strings.HasPrefix(text, "-") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("'\"`$\\;&|<>(){}*?!", r) }) {
			return rekey.Errorf(rekey.KindInvalid, "%q is no %s name", text, what).WithHint(form)
		}
	}
	if strings.HasPrefix(t.Key, "-") {
		return rekey.Errorf(rekey.KindInvalid, "%q is no private key's file", t.Key).WithHint("name it with a path")
	}
	if t.Host == "" {
		return rekey.Errorf(rekey.KindInvalid, "a host without a name").WithHint(form)
	}
	return nil
}

// Name is the host as reports name it: its alias, else the address without the
// path.
func (t Target) Name() string {
	if t.Alias != "" {
		return "ssh://" + t.Alias
	}
	name := t.Host
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if t.User != "" {
		name = t.User + "@" + name
	}
	if t.Port != 0 {
		name += ":" + strconv.Itoa(t.Port)
	}
	return "ssh://" + name
}

// command is what a person types to try it.
func (t Target) command() string {
	words := []string{"ssh"}
	if t.Port != 0 {
		words = append(words, "-p", strconv.Itoa(t.Port))
	}
	if t.Key != "" {
		words = append(words, "-i", t.Key)
	}
	if t.User != "" {
		return strings.Join(append(words, t.User+"@"+t.Host), " ")
	}
	return strings.Join(append(words, t.Host), " ")
}
