package lab_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab"
)

// rehearsal is a lab served on a real listener and driven through its two APIs.
type rehearsal struct {
	*lab.Rehearsal
	t     testing.TB
	dir   string
	log   bytes.Buffer
	stop  func()
	http  *http.Client
	clock *clock
}

func startRehearsal(t testing.TB, dir, version, profile string) *rehearsal {
	t.Helper()
	o := lab.Options{Dir: dir, Profile: profile}
	if version != "" {
		v, err := rekey.ParseVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		o.Version = v
	}
	r := &rehearsal{t: t, dir: dir, clock: newClock()}
	o.Now, o.Log = r.clock.Now, slog.New(slog.NewTextHandler(&r.log, nil))
	var err error
	if r.Rehearsal, err = lab.OpenRehearsal(t.Context(), o); err != nil {
		t.Fatalf("open: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.SetURL("http://" + listener.Addr().String())
	if err := r.WriteInfo(); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	r.http = &http.Client{Transport: &http.Transport{}}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.http.CloseIdleConnections()
		_ = server.Close()
		<-served
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// admin is the token that lab.json names now.
func (r *rehearsal) admin() string { return readInfo(r.t, r.dir).AdminToken }

// try sends body as JSON with a token ("" for none) to any path.
func (r *rehearsal) try(method, path, token string, body any) (int, http.Header, string, error) {
	r.t.Helper()
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL()+path, payload)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Private-Token", token)
	}
	response, err := r.http.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(raw), err
}

// must is try for the administrator, with a status, decoding the answer into out
// unless that is nil.
func (r *rehearsal) must(status int, method, path string, body, out any) http.Header {
	r.t.Helper()
	got, header, text, err := r.try(method, path, r.admin(), body)
	if err != nil || got != status {
		r.t.Fatalf("%s %s: got %d %s %v, want %d", method, path, got, text, err, status)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			r.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return header
}

type issued struct {
	ID    int64
	Token string
}

func (r *rehearsal) create() issued {
	r.t.Helper()
	var made issued
	r.must(201, "POST", "/api/v4/user/runners", m{"runner_type": "instance_type"}, &made)
	return made
}

type m = map[string]any

// verify returns the status of POST /runners/verify.
func (r *rehearsal) verify(token string) int {
	r.t.Helper()
	status, _, text, err := r.try("POST", "/api/v4/runners/verify", "", m{"token": token, "system_id": "s_CANARY000001"})
	if err != nil {
		r.t.Fatalf("verify: %v", err)
	}
	if status != 200 && status != 403 {
		r.t.Fatalf("verify: got %d %s", status, text)
	}
	return status
}

func (r *rehearsal) wantVerify(what, token string, want int) {
	r.t.Helper()
	if got := r.verify(token); got != want {
		r.t.Errorf("verify %s: got %d, want %d", what, got, want)
	}
}
