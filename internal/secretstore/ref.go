package secretstore

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/redact"
)

// Scheme says which store a reference is for.
type Scheme string

// The schemes.
const (
	Vault     Scheme = "vault"      // vault://mount/path#key
	AWS       Scheme = "awssm"      // awssm://region/name#jsonkey
	GitLabVar Scheme = "gitlab-var" // gitlab-var://project-or-group/KEY?env=…
	Kube      Scheme = "k8s"        // k8s://namespace/secret#runner-token
	File      Scheme = "file"       // file:///path
	Env       Scheme = "env"        // env:NAME
)

// Ref names one secret, or a place with secrets. Refs are comparable with ==. They
// hold no secret and may be shown.
type Ref struct {
	Scheme Scheme
	Place  string // AWS: region, may be ""; GitLab: project or group; Kubernetes: namespace
	Name   string // Vault: mount and path; AWS, Kubernetes: the secret; GitLab: KEY; File: path; Env: NAME
	Key    string // the field inside; "" where the whole secret is the token
	query  string // canonical
}

// Option returns an option of the reference, "" where it is not given.
func (r Ref) Option(name string) string {
	values, err := url.ParseQuery(r.query)
	if err != nil {
		return ""
	}
	return values.Get(name)
}

// String is the reference in its canonical form, which Parse accepts.
func (r Ref) String() string {
	var b strings.Builder
	switch r.Scheme {
	case Env:
		return "env:" + r.Name
	case Vault, File:
		b.WriteString(string(r.Scheme) + "://" + escape(r.Name))
	default:
		b.WriteString(string(r.Scheme) + "://" + escape(r.Place) + "/" + escape(r.Name))
	}
	if r.query != "" {
		b.WriteString("?" + r.query)
	}
	if r.Key != "" {
		b.WriteString("#" + url.PathEscape(r.Key))
	}
	return b.String()
}

// With returns the reference to another name and key at the same place, as a list
// finds them.
func (r Ref) With(name, key string) Ref {
	r.Name, r.Key = name, key
	return r
}

// Having returns the reference with one option more, "" taking it away.
func (r Ref) Having(name, value string) Ref {
	values, err := url.ParseQuery(r.query)
	if err != nil {
		values = url.Values{}
	}
	values.Set(name, value)
	if value == "" {
		values.Del(name)
	}
	r.query = values.Encode()
	return r
}

// place is where this secret's neighbours are.
func (r Ref) place() Ref {
	switch r.Scheme {
	case Vault, File:
		if dir := path.Dir(r.Name); dir != "." && dir != "/" {
			return r.With(dir+"/", "")
		}
	case Env:
		return r
	}
	return r.With("", "")
}

// escape keeps slashes.
func escape(text string) string { return (&url.URL{Path: text}).EscapedPath() }

// options are what may follow the question mark.
var options = map[Scheme][]string{
	Vault:     {"namespace", "kv"},
	GitLabVar: {"env", "kind", "masked", "hidden", "protected", "raw"},
	Kube:      {"context"},
	File:      {"key"},
}

// choices are options that take only these values.
var choices = map[string][]string{
	"kv": {"1", "2"}, "kind": {"project", "group"},
	"masked": {"true", "false"}, "hidden": {"true", "false"}, "protected": {"true", "false"}, "raw": {"true", "false"},
}

// forms are how each scheme is written.
var forms = map[Scheme]string{
	Vault: "vault://MOUNT/PATH#KEY", AWS: "awssm://REGION/NAME#JSONKEY", GitLabVar: "gitlab-var://PROJECT-OR-GROUP/KEY?env=SCOPE",
	Kube: "k8s://NAMESPACE/SECRET#KEY", File: "file:///PATH", Env: "env:NAME",
}

// defaultKeys are the fields where the token is looked for when none is named.
var defaultKeys = map[Scheme]string{Vault: "token", Kube: "runner-token"}

// Parse reads a reference to one secret. Errors are KindInvalid and say how a
// reference of that kind is written.
func Parse(text string) (Ref, error) {
	r, err := parse(text, false)
	if err != nil {
		return Ref{}, err
	}
	if r.Name == "" || strings.HasSuffix(r.Name, "/") {
		return Ref{}, malformed(r.Scheme, text, "it names a place, not a secret")
	}
	if r.Scheme == Vault && !strings.Contains(r.Name, "/") {
		return Ref{}, malformed(r.Scheme, text, "it names a mount, not a secret in it")
	}
	if r.Key == "" {
		r.Key = defaultKeys[r.Scheme]
	}
	return r, nil
}

// ParsePlace reads a reference to a place for List: what Parse reads, and shorter
// ones, vault://mount/folder/, awssm://region/, gitlab-var://group, k8s://namespace.
func ParsePlace(text string) (Ref, error) { return parse(text, true) }

func parse(text string, place bool) (Ref, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	if _, known := forms[Scheme(scheme)]; !ok || !known {
		return Ref{}, unknownScheme(text)
	}
	s := Scheme(scheme)
	if s == Env {
		return parseEnv(text, rest)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Ref{}, malformed(s, text, "it is not a URL")
	case !strings.HasPrefix(rest, "//"):
		return Ref{}, malformed(s, text, "two slashes follow the colon")
	case u.User != nil || strings.Contains(u.Host, ":"):
		return Ref{}, malformed(s, text, "it takes no user, password or port: credentials come from the environment")
	}
	r := Ref{Scheme: s, Key: u.Fragment}
	if r.query, err = parseOptions(s, text, u.RawQuery); err != nil {
		return Ref{}, err
	}
	if strings.ContainsFunc(u.Host, isStrange) {
		return Ref{}, malformed(s, text, "its first part has a character other than letters, digits, dots, dashes and underscores")
	}
	return r.locate(text, u.Host, u.Path, place)
}

// isStrange reports what no region, namespace, mount or group begins a reference with.
func isStrange(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_'
}

func parseEnv(text, name string) (Ref, error) {
	for i, c := range name {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return Ref{}, malformed(Env, text, "a variable's name has letters, digits and underscores")
		}
	}
	if name == "" {
		return Ref{}, malformed(Env, text, "the name is missing")
	}
	return Ref{Scheme: Env, Name: name}, nil
}

// locate takes the path apart.
func (r Ref) locate(text, host, rest string, place bool) (Ref, error) {
	whole := strings.TrimPrefix(host+rest, "/")
	if strings.ContainsFunc(host+rest+r.Key, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\ufffd' }) {
		return Ref{}, malformed(r.Scheme, text, "it holds a control character")
	}
	for _, part := range strings.Split(strings.Trim(whole, "/"), "/") {
		if part == "." || part == ".." || part == "" && whole != "" {
			return Ref{}, malformed(r.Scheme, text, "its path has an empty part, . or ..")
		}
	}
	switch r.Scheme {
	case File:
		if host != "" || rest == "" {
			return Ref{}, malformed(File, text, "three slashes begin an absolute path")
		}
		if r.Key != "" {
			return Ref{}, malformed(File, text, "a file holds one token: it takes no #key")
		}
		r.Name = rest
	case Vault:
		if host == "" {
			return Ref{}, malformed(Vault, text, "the mount is missing; the server comes from VAULT_ADDR")
		}
		r.Name = whole
	case GitLabVar:
		return r.variable(text, whole, place)
	default:
		r.Place, r.Name = host, strings.TrimPrefix(rest, "/")
		if r.Scheme == Kube && (r.Place == "" || strings.Contains(r.Name, "/")) {
			return Ref{}, malformed(Kube, text, "a namespace and a Secret's name are needed")
		}
	}
	return r, nil
}

// variable splits the key from the path of its owner; a place has none.
func (r Ref) variable(text, whole string, place bool) (Ref, error) {
	if r.Key != "" {
		return Ref{}, malformed(GitLabVar, text, "a variable holds one token: it takes no #key")
	}
	r.Place = strings.TrimSuffix(whole, "/")
	if i := strings.LastIndex(whole, "/"); i >= 0 && !place {
		r.Place, r.Name = whole[:i], whole[i+1:]
	}
	if r.Place == "" {
		return Ref{}, malformed(GitLabVar, text, "the project or group is missing")
	}
	return r, nil
}

func parseOptions(s Scheme, text, query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", malformed(s, text, "what follows the ? cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		allowed := choices[name]
		switch {
		case !slices.Contains(options[s], name):
			return "", malformed(s, text, fmt.Sprintf("it takes no option %q%s", redact.Scrub(name), listed(options[s])))
		case len(values[name]) > 1:
			return "", malformed(s, text, "the option "+name+" is given twice")
		case values.Get(name) == "":
			return "", malformed(s, text, "the option "+name+" is empty")
		case allowed != nil && !slices.Contains(allowed, values.Get(name)):
			return "", malformed(s, text, "the option "+name+" is one of "+strings.Join(allowed, ", "))
		}
	}
	return values.Encode(), nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (it takes " + strings.Join(names, ", ") + ")"
}

// unknownScheme never quotes the text whole: it may be a token in the wrong place.
func unknownScheme(text string) error {
	if kind := rekey.NewToken(text).Kind(); kind != rekey.TokenUnknown && kind != rekey.TokenMalformed && kind != rekey.TokenEmpty && kind != rekey.TokenReference {
		return rekey.Errorf(rekey.KindInvalid, "that is a %s token, not a reference to a secret", kind).
			WithHint("a token never goes on the command line: others can read it there; give it on standard input or with --file")
	}
	var all []string
	for _, s := range []Scheme{Vault, AWS, GitLabVar, Kube, File, Env} {
		all = append(all, forms[s])
	}
	return rekey.Errorf(rekey.KindInvalid, "%q does not begin with a store that rekey knows", redact.Scrub(text)).WithHint("write one of %s", strings.Join(all, ", "))
}

func malformed(s Scheme, text, why string) error {
	return rekey.Errorf(rekey.KindInvalid, "the reference %q: %s", redact.Scrub(text), why).WithHint("write it as %s", forms[s])
}
