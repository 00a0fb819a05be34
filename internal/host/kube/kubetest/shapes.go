package kubetest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// shapes answers in the shapes of the Kubernetes API: objects and lists page by
// page, Status objects for denials, logs as text, with the words of a real
// kube-apiserver 1.37. It is no Kubernetes: it stores what it is given.
type shapes struct {
	*httptest.Server
	ca      string
	mu      sync.Mutex
	objects map[string]map[string]any // by path
	order   []string
	logs    map[string]string // by path
	users   map[string]grant  // by token
	groups  []string
}

type grant struct {
	namespace string
	rights    []Right
}

func newShapes(t *testing.T) *shapes {
	t.Helper()
	s := &shapes{objects: map[string]map[string]any{}, logs: map[string]string{}, users: map[string]grant{}, groups: []string{"apps"}}
	s.Server = httptest.NewTLSServer(s) // a token goes over TLS only
	t.Cleanup(s.Close)
	s.ca = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shapes) Put(t *testing.T, collection, text string) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	meta := object["metadata"].(map[string]any)
	if path, ok := strings.CutSuffix(collection, "/status"); ok {
		s.objects[path]["status"] = object["status"]
		return
	}
	path := collection + "/" + meta["name"].(string)
	if parts := strings.Split(collection, "/"); len(parts) > 3 && slices.Contains(parts, "namespaces") {
		meta["namespace"] = parts[len(parts)-2]
	}
	meta["creationTimestamp"] = "2024-01-01T00:00:00Z"
	if plain, ok := object["stringData"].(map[string]any); ok {
		data := map[string]any{}
		for k, v := range plain {
			data[k] = []byte(v.(string)) // encoded as base64
		}
		object["data"] = data
		delete(object, "stringData")
	}
	if group, _, ok := strings.Cut(strings.TrimPrefix(collection, "/apis/"), "/"); ok && strings.HasPrefix(collection, "/apis/") && !slices.Contains(s.groups, group) {
		s.groups = append(s.groups, group)
	}
	s.objects[path] = object
	s.order = append(s.order, path)
}

func (s *shapes) Log(_ *testing.T, namespace, pod, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs["/api/v1/namespaces/"+namespace+"/pods/"+pod+"/log"] = text
}

func (s *shapes) User(_ *testing.T, namespace string, rights ...Right) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "user-" + strconv.Itoa(len(s.users))
	s.users[token] = grant{namespace, rights}
	return Kubeconfig(s.URL, s.ca, token, namespace)
}

func (s *shapes) Remove(string) {}

func (s *shapes) KnowRunners(*testing.T) {} // it takes what it is given

// ServeHTTP answers a GET.
func (s *shapes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	granted, known := s.users[token]
	switch path := r.URL.Path; {
	case !known:
		status(w, 401, "Unauthorized", "Unauthorized")
	case r.Method != http.MethodGet:
		status(w, 405, "MethodNotAllowed", "every request is to be a GET, this was a "+r.Method)
	case path == "/apis":
		var groups []any
		for _, g := range s.groups {
			groups = append(groups, map[string]any{"name": g})
		}
		answer(w, map[string]any{"kind": "APIGroupList", "groups": groups})
	default:
		s.resource(w, r, granted)
	}
}

func (s *shapes) resource(w http.ResponseWriter, r *http.Request, granted grant) {
	a := parsePath(r.URL.Path)
	if !a.allowed(granted) {
		where := "in the namespace \"" + a.namespace + "\""
		if a.namespace == "" {
			where = "at the cluster scope"
		}
		what := a.resource
		if a.group != "" {
			what += "." + a.group
		}
		named := ""
		if a.name != "" {
			named = fmt.Sprintf(" %q", a.name)
		}
		status(w, 403, "Forbidden", fmt.Sprintf("%s%s is forbidden: User %q cannot %s resource %q in API group %q %s", what, named, "rekey", a.verb, a.resource, a.group, where))
		return
	}
	switch {
	case a.resource == "pods/log":
		text, ok := s.logs[r.URL.Path]
		if !ok {
			status(w, 404, "NotFound", "the server could not find the requested resource")
			return
		}
		if r.URL.Query().Get("previous") == "true" {
			text = "previous: " + text
		}
		limit, err := strconv.Atoi(r.URL.Query().Get("limitBytes"))
		if err == nil && limit < len(text) {
			text = text[:limit]
		}
		_, _ = fmt.Fprint(w, text)
	case a.name != "":
		object, ok := s.objects[r.URL.Path]
		if !ok {
			status(w, 404, "NotFound", fmt.Sprintf("%s %q not found", a.resource, a.name))
			return
		}
		answer(w, object)
	default:
		s.list(w, r, a)
	}
}

// list answers one page.
func (s *shapes) list(w http.ResponseWriter, r *http.Request, a asked) {
	var items []any
	for _, path := range s.order {
		b := parsePath(path)
		if b.group == a.group && b.resource == a.resource && (a.namespace == "" || a.namespace == b.namespace) && selected(s.objects[path], r.URL.Query().Get("labelSelector")) {
			items = append(items, s.objects[path])
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	to, next := len(items), ""
	if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 0 && from+limit < to {
		to, next = from+limit, strconv.Itoa(from+limit)
	}
	answer(w, map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{"continue": next}, "items": items[from:to]})
}

func selected(object map[string]any, selector string) bool {
	labels, _ := object["metadata"].(map[string]any)["labels"].(map[string]any)
	for _, term := range strings.Split(selector, ",") {
		if k, v, ok := strings.Cut(term, "="); ok && labels[k] != v {
			return false
		}
	}
	return true
}

// asked is a path as RBAC sees it.
type asked struct{ group, namespace, resource, name, verb string }

func parsePath(path string) asked {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var a asked
	if parts[0] == "apis" {
		a.group, parts = parts[1], parts[3:]
	} else {
		parts = parts[2:]
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		a.namespace, parts = parts[1], parts[2:]
	}
	a.resource, a.verb = parts[0], "list"
	if len(parts) > 1 {
		a.name, a.verb = parts[1], "get"
	}
	if len(parts) > 2 {
		a.resource += "/" + parts[2]
	}
	return a
}

func (a asked) allowed(g grant) bool {
	if g.namespace != "" && a.namespace != g.namespace {
		return false
	}
	return slices.ContainsFunc(g.rights, func(r Right) bool {
		return r.Group == a.group && r.Resource == a.resource && slices.Contains(r.Verbs, a.verb)
	})
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

func status(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure", "message": message, "reason": reason, "code": code})
}
