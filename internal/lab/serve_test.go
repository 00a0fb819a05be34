package lab_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

// TestServeAndReopen: lab.json is private and complete, the listener stops with
// the context, and a second process cannot open the directory meanwhile.
func TestServeAndReopen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lab")
	options := lab.Options{Dir: dir, Version: rekey.Version{Major: 17, Minor: 11}, Now: time.Now}
	s, err := lab.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Open(t.Context(), options); rekey.KindOf(err) != rekey.KindConflict {
		t.Errorf("second open: got %v, want a conflict", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.SetURL("http://" + listener.Addr().String() + "/")
	if err := s.WriteInfo(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	info := readInfo(t, dir)
	if info.URL != "http://"+listener.Addr().String() || info.Version != "17.11.0" || info.PID != os.Getpid() || info.RegistrationTokens["instance"] == "" {
		t.Errorf("lab.json: got url %q version %q pid %d", info.URL, info.Version, info.PID)
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", info.URL+"/api/v4/user?private_token="+info.AdminToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("request: got %v %v, want 200", response, err)
	} else {
		_ = response.Body.Close()
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("serve: got %v, want nil after its context ended", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	again, err := lab.Open(t.Context(), lab.Options{Dir: dir, Now: time.Now})
	if err != nil {
		t.Fatalf("reopen without a version: %v", err)
	}
	defer func() { _ = again.Close() }()
	if got := again.Info(); got.Version != "17.11.0" || got.AdminToken != info.AdminToken {
		t.Errorf("reopened: version %s, same token %t", got.Version, got.AdminToken == info.AdminToken)
	}
}

func readInfo(t testing.TB, dir string) lab.Info {
	t.Helper()
	path := filepath.Join(dir, "lab.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("lab.json: mode %v %v, want 0600", stat.Mode(), err)
	}
	var info lab.Info
	if err := json.Unmarshal(raw, &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// TestOptionsRefused: what a lab cannot be.
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]lab.Options{
		"no directory":    {Version: rekey.Version{Major: 17}, Now: time.Now},
		"too old":         {Dir: t.TempDir(), Version: rekey.Version{Major: 15, Minor: 10}, Now: time.Now},
		"unknown profile": {Dir: t.TempDir(), Version: rekey.Version{Major: 17}, Profile: "saas", Now: time.Now},
		"fresh, unnamed":  {Dir: t.TempDir(), Now: time.Now},
	} {
		if _, err := lab.Open(t.Context(), o); rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("%s: got %v, want an invalid error", name, err)
		}
	}
}

// TestMembersInherit: members/all shows the highest role over the groups above.
func TestMembersInherit(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	group := l.Group("team", 0)
	_, path := l.Project("app", group)
	ada := l.User("ada")
	l.Member("groups", group, ada, 40)
	var found []struct {
		Username    string
		AccessLevel int `json:"access_level"`
	}
	l.Must(200, "GET", "projects/"+pathEscape(path)+"/members/all", nil, &found)
	if len(found) != 2 || found[1].Username != "ada" || found[1].AccessLevel != 40 {
		t.Errorf("members: got %+v, want root and ada with 40", found)
	}
}
