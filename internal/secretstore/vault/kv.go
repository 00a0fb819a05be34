package vault

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

// place is where a secret is in the API.
type place struct {
	mount string // "secret/"
	path  string // below it
	v2    bool
}

// api is the path for reading and writing, as a policy names it.
func (p place) data() string {
	if p.v2 {
		return p.mount + "data/" + p.path
	}
	return p.mount + p.path
}

func (p place) metadata() string {
	if p.v2 {
		return p.mount + "metadata/" + p.path
	}
	return p.mount + p.path
}

type mount struct {
	path string
	v2   bool
}

// locate finds the mount of a reference and the version of its engine, once for
// each, by sys/internal/ui/mounts as the vault command does.
func (s *Store) locate(ctx context.Context, ref secretstore.Ref) (place, error) {
	first, rest, _ := strings.Cut(ref.Name, "/")
	if kv := ref.Option("kv"); kv != "" {
		return place{first + "/", rest, kv == "2"}, nil
	}
	s.mu.Lock()
	known, ok := s.mounts[ref.Option("namespace")+"\x00"+first]
	s.mu.Unlock()
	if !ok || !strings.HasPrefix(ref.Name+"/", known.path) {
		var err error
		if known, err = s.preflight(ctx, ref); err != nil {
			return place{}, err
		}
		s.mu.Lock()
		s.mounts[ref.Option("namespace")+"\x00"+first] = known
		s.mu.Unlock()
	}
	return place{known.path, strings.TrimPrefix(strings.TrimPrefix(ref.Name+"/", known.path), "/"), known.v2}.trimmed(), nil
}

// trimmed takes the slash away that locate added; a place's own stays harmless.
func (p place) trimmed() place {
	p.path = strings.TrimRight(p.path, "/")
	return p
}

func (s *Store) preflight(ctx context.Context, ref secretstore.Ref) (mount, error) {
	path := "sys/internal/ui/mounts/" + strings.TrimRight(ref.Name, "/")
	answer, err := s.ask(ctx, ref, "GET", path, nil, nil)
	if err != nil {
		return mount{}, s.fail(ref, request{what: "look for the mount of", path: path, preflight: true}, err)
	}
	if answer == nil {
		return mount{}, secretstore.Missing(ref, "there is no such mount")
	}
	kind, _ := answer.Data["type"].(string)
	at, _ := answer.Data["path"].(string)
	if kind != "kv" && kind != "generic" && kind != "cubbyhole" || at == "" {
		return mount{}, rekey.Errorf(rekey.KindInvalid, "%s: %s is a mount of type %s, not a KV engine", ref, at, kind).WithHint("`vault secrets list` shows the mounts and their types")
	}
	options, _ := answer.Data["options"].(map[string]any)
	return mount{at, options["version"] == "2"}, nil
}

// document is one version of a secret with all its fields.
type document struct {
	fields    map[string]any
	version   int // of version 2; 0 when there never was one
	createdAt time.Time
}

func (s *Store) read(ctx context.Context, ref secretstore.Ref, at place, version secretstore.Version) (document, error) {
	var query map[string][]string
	if version != "" {
		if _, err := strconv.Atoi(string(version)); at.v2 && err != nil {
			return document{}, secretstore.NoVersion(ref, "versions of Vault are numbers, not "+string(version))
		}
		if at.v2 {
			query = map[string][]string{"version": {string(version)}}
		}
	}
	answer, err := s.ask(ctx, ref, "GET", at.data(), query, nil)
	if err != nil {
		return document{}, s.fail(ref, request{"read", at.data(), "read", false}, err)
	}
	switch {
	case answer == nil && query != nil: // Vault says the same of both
		return document{}, secretstore.NoVersion(ref, "there is no version "+string(version)+" of it, or no such secret")
	case answer == nil:
		return document{}, secretstore.Missing(ref, "there is no such secret")
	}
	if !at.v2 {
		doc := document{fields: answer.Data}
		if version != "" && version != fieldVersion(doc.fields, ref.Key) {
			return document{}, secretstore.NoEarlier(ref, "this mount is KV version 1, which keeps no earlier values")
		}
		return doc, nil
	}
	return versioned(ref, version, answer.Data)
}

// versioned reads an answer of version 2. The error of a deleted version comes with
// the number, which check-and-set still counts from.
func versioned(ref secretstore.Ref, asked secretstore.Version, data map[string]any) (document, error) {
	meta, _ := data["metadata"].(map[string]any)
	fields, _ := data["data"].(map[string]any)
	doc := document{fields: fields, version: number(meta["version"])}
	doc.createdAt = moment(meta["created_time"])
	if fields != nil {
		return doc, nil
	}
	destroyed, _ := meta["destroyed"].(bool)
	deleted, _ := meta["deletion_time"].(string)
	switch {
	case destroyed && asked != "":
		return doc, secretstore.NoVersion(ref, "version "+strconv.Itoa(doc.version)+" was destroyed")
	case destroyed:
		return doc, secretstore.Missing(ref, "version "+strconv.Itoa(doc.version)+" was destroyed").WithHint("write a new one: `rekey secret put %s`", ref)
	case deleted != "":
		return doc, secretstore.Missing(ref, "version "+strconv.Itoa(doc.version)+" was deleted at "+deleted).
			WithHint("bring it back with `vault kv undelete -versions=%d %s`, or write a new one with `rekey secret put %s`", doc.version, ref.Name, ref)
	}
	return doc, secretstore.Missing(ref, "it has no data")
}

// secret takes the field out of the document.
func (d document) secret(ref secretstore.Ref, at place) (secretstore.Secret, error) {
	raw, there := d.fields[ref.Key]
	if !there {
		return secretstore.Secret{}, rekey.Errorf(rekey.KindNotFound, "%s: the secret has no field %q", ref, ref.Key).WithHint("its fields are %s: name one after the #", names(d.fields))
	}
	text, ok := raw.(string)
	if !ok {
		return secretstore.Secret{}, rekey.Errorf(rekey.KindInvalid, "%s: the field %q is not a text", ref, ref.Key).WithHint("a token is a JSON string; write it anew with `rekey secret put %s`", ref)
	}
	beside, _ := d.fields[secretstore.Beside(ref.Key)].(string)
	secret := secretstore.Secret{Value: rekey.NewToken(text), Meta: secretstore.ParseMetadata(beside), CreatedAt: d.createdAt, Version: fieldVersion(d.fields, ref.Key)}
	if at.v2 {
		secret.Version = secretstore.Version(strconv.Itoa(d.version))
	}
	return secret, nil
}

// fieldVersion stands for a version where the engine has none.
func fieldVersion(fields map[string]any, key string) secretstore.Version {
	text, _ := fields[key].(string)
	return secretstore.Version(rekey.NewToken(text).Fingerprint())
}

// names are those of the fields that may hold a token.
func names(fields map[string]any) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !strings.HasSuffix(name, secretstore.Beside("")) {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// mostTries bounds how often an edit begins anew because somebody else was faster.
const mostTries = 5

// edit changes the fields of a secret. change reports whether any are left. The
// value is what the field holds afterwards, for looking when the answer is lost.
func (s *Store) edit(ctx context.Context, ref secretstore.Ref, at place, value rekey.Token, expect secretstore.Expect, change func(map[string]any) bool) (secretstore.Version, error) {
	for try := 1; ; try++ {
		doc, err := s.read(ctx, ref, at, "")
		if err != nil && rekey.KindOf(err) != rekey.KindNotFound {
			return "", err
		}
		if err := s.expected(ref, at, doc, expect); err != nil {
			return "", err
		}
		fields := maps.Clone(doc.fields)
		if fields == nil {
			fields = map[string]any{}
		}
		left := change(fields)
		version, err := s.write(ctx, ref, at, doc, fields, left)
		switch {
		case err == nil:
			return version, nil
		case isMoved(err) && expect.Any() && try < mostTries:
			continue
		case isMoved(err):
			return "", secretstore.Moved(ref, "another version is current now")
		case isLost(err) && !value.IsZero():
			return secretstore.Settle(ctx, s, ref, value, s.fail(ref, request{"write", at.data(), "update", false}, err))
		case isLost(err):
			return "", secretstore.Unknown(ref, s.fail(ref, request{"delete", at.data(), "update", false}, err))
		}
		return "", s.fail(ref, s.writing(at, doc, left), err)
	}
}

func (s *Store) writing(at place, doc document, left bool) request {
	switch {
	case !left:
		return request{"delete", at.data(), "delete", false}
	case doc.fields == nil && doc.version == 0:
		return request{"write", at.data(), "create", false}
	}
	return request{"write", at.data(), "update", false}
}

func (s *Store) expected(ref secretstore.Ref, at place, doc document, expect secretstore.Expect) error {
	_, found := doc.fields[ref.Key]
	now := fieldVersion(doc.fields, ref.Key)
	if at.v2 {
		now = secretstore.Version(strconv.Itoa(doc.version))
	}
	return expect.Check(ref, now, found)
}

func (s *Store) write(ctx context.Context, ref secretstore.Ref, at place, doc document, fields map[string]any, left bool) (secretstore.Version, error) {
	if !left {
		_, err := s.ask(ctx, ref, "DELETE", at.data(), nil, nil)
		return "", err
	}
	body := fields
	if at.v2 {
		body = map[string]any{"data": fields, "options": map[string]any{"cas": doc.version}}
	}
	answer, err := s.ask(ctx, ref, "PUT", at.data(), nil, body)
	if err != nil {
		return "", err
	}
	if !at.v2 || answer == nil {
		return fieldVersion(fields, ref.Key), nil
	}
	return secretstore.Version(strconv.Itoa(number(answer.Data["version"]))), nil
}

// Versions lists those of version 2.
func (s *Store) Versions(ctx context.Context, ref secretstore.Ref) ([]secretstore.VersionInfo, error) {
	at, err := s.locate(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !at.v2 {
		return nil, secretstore.Cannot(ref, "this mount is KV version 1, which keeps no earlier values")
	}
	answer, err := s.ask(ctx, ref, "GET", at.metadata(), nil, nil)
	if err != nil {
		return nil, s.fail(ref, request{"list the versions of", at.metadata(), "read", false}, err)
	}
	if answer == nil {
		return nil, secretstore.Missing(ref, "there is no such secret")
	}
	current := number(answer.Data["current_version"])
	kept, _ := answer.Data["versions"].(map[string]any)
	var list []secretstore.VersionInfo
	for text, raw := range kept {
		one, _ := raw.(map[string]any)
		n, _ := strconv.Atoi(text)
		deleted, _ := one["deletion_time"].(string)
		destroyed, _ := one["destroyed"].(bool)
		list = append(list, secretstore.VersionInfo{Version: secretstore.Version(text), CreatedAt: moment(one["created_time"]), Current: n == current, Deleted: destroyed || deleted != ""})
	}
	sort.Slice(list, func(i, j int) bool {
		return len(list[i].Version) > len(list[j].Version) || len(list[i].Version) == len(list[j].Version) && list[i].Version > list[j].Version
	})
	return list, nil
}

// List names the secrets of a folder. Their fields are not in a list: the references
// name the default one.
func (s *Store) List(ctx context.Context, folder secretstore.Ref) ([]secretstore.Entry, error) {
	at, err := s.locate(ctx, folder)
	if err != nil {
		return nil, err
	}
	answer, err := s.ask(ctx, folder, "LIST", at.metadata(), nil, nil)
	if err != nil {
		return nil, s.fail(folder, request{"list", at.metadata() + "/", "list", false}, err)
	}
	if answer == nil {
		return nil, nil
	}
	found, _ := answer.Data["keys"].([]any)
	var list []secretstore.Entry
	for _, raw := range found {
		name, _ := raw.(string)
		full := strings.TrimRight(folder.Name, "/") + "/" + name
		list = append(list, secretstore.Entry{Ref: folder.With(full, ""), Place: strings.HasSuffix(name, "/")})
	}
	return list, nil
}

func number(raw any) int {
	n, _ := raw.(json.Number)
	i, _ := strconv.Atoi(n.String())
	return i
}

func moment(raw any) time.Time {
	text, _ := raw.(string)
	at, _ := time.Parse(time.RFC3339Nano, text)
	return at
}
