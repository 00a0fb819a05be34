package lab_test

import (
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"rekey"
	"rekey/internal/lab"
)

// TestUpgradeByOrder plays a self-managed server's way from 16.11 to 19.3: what was
// issued and allowed before stays so, what is issued after has the new shape.
func TestUpgradeByOrder(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "16.11", "self-managed")
	registration := readInfo(t, r.dir).RegistrationTokens["instance"]
	register := func() issued {
		var made issued
		status, _, text, err := r.try("POST", "/api/v4/runners", "", m{"token": registration})
		if err != nil || status != 201 {
			t.Fatalf("register: got %d %s %v, want 201", status, text, err)
		}
		made.Token = regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(text)[1]
		return made
	}
	tokens := []string{register().Token, r.create().Token}
	r.must(200, "PUT", "/api/v4/application/settings", m{"valid_runner_registrars": []string{"project"}}, nil)
	for _, step := range []struct{ version, created, registered string }{
		{"17.11", `^glrt-t1_[\w-]{20}$`, `^t1_[\w-]{20}$`},
		{"18.11", `^glrt-[\w-]+\.01\.[a-z0-9]{9}$`, `^glrtr-[\w-]{20}$`},
		{"19.3", `^glrt-[\w-]+\.01\.[a-z0-9]{9}$`, `^glrtr-[\w-]{20}$`},
	} {
		var done lab.Upgraded
		r.must(200, "POST", "/-/rekey-lab/upgrade", m{"version": step.version}, &done)
		if done.To != step.version+".0" || !done.RegistrationAllowed {
			t.Errorf("upgrade to %s: got %+v", step.version, done)
		}
		var served struct{ Version string }
		r.must(200, "GET", "/api/v4/version", nil, &served)
		if served.Version != step.version+".0" || readInfo(t, r.dir).Version != step.version+".0" {
			t.Errorf("version: got %s, in lab.json %s, want %s", served.Version, readInfo(t, r.dir).Version, step.version)
		}
		created, registered := r.create().Token, register().Token
		if !regexp.MustCompile(step.created).MatchString(created) || !regexp.MustCompile(step.registered).MatchString(registered) {
			t.Errorf("%s: new tokens have another shape than %s and %s", step.version, step.created, step.registered)
		}
		tokens = append(tokens, created, registered)
		for i, token := range tokens {
			if r.verify(token) != 200 {
				t.Errorf("%s: token %d does not verify any more", step.version, i)
			}
		}
		var set struct {
			Registrars []string `json:"valid_runner_registrars"`
		}
		r.must(200, "GET", "/api/v4/application/settings", nil, &set)
		if strings.Join(set.Registrars, " ") != "project" {
			t.Errorf("%s: registrars %q, want the stored setting", step.version, set.Registrars)
		}
	}
	// A restart finds the version of the last upgrade.
	r.stop()
	again := startRehearsal(t, r.dir, "", "")
	var served struct{ Version string }
	again.must(200, "GET", "/api/v4/version", nil, &served)
	if served.Version != "19.3.0" {
		t.Errorf("after a restart: got %s, want 19.3.0", served.Version)
	}
}

// TestUpgradeRefusals: no way back, by whatever door.
func TestUpgradeRefusals(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	for version, want := range map[string]string{"16.11": "cannot go back to 16.11.0", "17.10": "cannot go back", "soon": "is not a version", "": "is not a version"} {
		status, _, text, err := r.try("POST", "/-/rekey-lab/upgrade", r.admin(), m{"version": version})
		if err != nil || status != 400 || !strings.Contains(text, want) {
			t.Errorf("upgrade to %q: got %d %s %v, want 400 with %q", version, status, text, err, want)
		}
	}
	r.must(200, "POST", "/-/rekey-lab/upgrade", m{"version": "17.11"}, nil)
	r.stop()
	if _, err := lab.OpenRehearsal(t.Context(), lab.Options{Dir: r.dir, Version: rekey.Version{Major: 16, Minor: 11}, Now: r.clock.Now}); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("open as an older version: got %v, want an invalid error", err)
	}
	startRehearsal(t, r.dir, "17.11", "") // the refusal let the directory go
}

// TestUpgradeOfGitLabCom crosses 17.0 as gitlab.com did: registration tokens are
// refused from then on, runners go on.
func TestUpgradeOfGitLabCom(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "16.11", "gitlab.com")
	old := r.create().Token
	var done lab.Upgraded
	r.must(200, "POST", "/-/rekey-lab/upgrade", m{"version": "17.0"}, &done)
	status, _, text, err := r.try("POST", "/api/v4/runners", "", m{"token": readInfo(t, r.dir).RegistrationTokens["instance"]})
	if done.RegistrationAllowed || err != nil || status != 410 {
		t.Errorf("registration at 17.0: got %d %s %v %+v, want 410", status, text, err, done)
	}
	r.wantVerify("the old token", old, 200)
}

// TestUpgradeUnderLoad: requests that come while the lab restarts wait, and none
// is answered otherwise than before or after.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "16.11", "self-managed")
	token := r.create().Token
	end := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if got := r.verify(token); got != 200 {
					t.Errorf("verify during an upgrade: got %d, want 200", got)
					return
				}
			}
		})
	}
	for _, version := range []string{"16.11", "17.3", "17.11", "18.11", "19.3"} {
		r.must(200, "POST", "/-/rekey-lab/upgrade", m{"version": version}, nil)
	}
	close(end)
	load.Wait()
}

// TestUpgradeCutsSlowBodies: a body that never ends does not keep a restart waiting.
func TestUpgradeCutsSlowBodies(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "16.11", "self-managed")
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /api/v4/runners/verify HTTP/1.1\r\nHost: lab\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	// "100 Continue" comes when the handler begins to read.
	begin := make([]byte, len("HTTP/1.1 100"))
	if _, err := io.ReadFull(conn, begin); err != nil || string(begin) != "HTTP/1.1 100" {
		t.Fatalf("got %q %v, want 100 Continue", begin, err)
	}
	r.must(200, "POST", "/-/rekey-lab/upgrade", m{"version": "17.11"}, nil)
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection: got %v, want its end", err)
	}
	r.create()
}
