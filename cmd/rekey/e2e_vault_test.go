package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
	"rekey/internal/lab/simrunner"
	"rekey/internal/testport"
)

// e2eVault is a server of Vault or OpenBao with the engine at gitlab/.
type e2eVault struct {
	t       *testing.T
	program string
	url     string
	root    string
	cmd     *exec.Cmd

	mu  sync.Mutex
	out bytes.Buffer
}

func (v *e2eVault) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.out.Write(p)
}

func (v *e2eVault) log() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.out.String()
}

// try sends a request as root.
func (v *e2eVault) try(method, path string, body, into any) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.url+"/v1/"+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", v.root)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	return err
}

func (v *e2eVault) must(method, path string, body, into any) {
	v.t.Helper()
	must(v.t, v.try(method, path, body, into))
}

func (v *e2eVault) await(what string, within time.Duration, done func() bool) {
	v.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			v.t.Fatalf("%s: not within %s; Vault says\n%s", what, within, v.log())
		case <-tick.C:
		}
	}
}

// eachVault runs a test with the servers that VAULT_BIN and BAO_BIN name.
func eachVault(t *testing.T, test func(t *testing.T, v *e2eVault)) {
	t.Helper()
	for product, variable := range map[string]string{"Vault": "VAULT_BIN", "OpenBao": "BAO_BIN"} {
		t.Run(product, func(t *testing.T) {
			program := os.Getenv(variable)
			if program == "" {
				t.Skipf("*** NO %s: %s names no server, so this is not tried with a real one ***", strings.ToUpper(product), variable)
			}
			test(t, e2eVaultUp(t, program))
		})
	}
}

// e2eVaultUp starts the server with storage in memory, unseals it and registers the
// real binary, as people build it, as they are told to.
func e2eVaultUp(t *testing.T, program string) *e2eVault {
	t.Helper()
	port, err := testport.Free()
	must(t, err)
	address := "127.0.0.1:" + port
	dir := t.TempDir()
	plugins := filepath.Join(dir, "plugins")
	must(t, os.Mkdir(plugins, 0o700))
	image, err := os.ReadFile(mortal)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(plugins, "rekey"), image, 0o700))
	config := filepath.Join(dir, "vault.hcl")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "storage \"inmem\" {}\nlistener \"tcp\" {\n  address = %q\n  tls_disable = true\n}\ndisable_mlock = true\nlog_level = \"trace\"\napi_addr = \"http://%s\"\nplugin_directory = %q\n",
		address, address, plugins), 0o600))
	v := &e2eVault{t: t, program: program, url: "http://" + address, cmd: exec.Command(program, "server", "-config", config)}
	v.cmd.Stdout, v.cmd.Stderr = v, v
	must(t, v.cmd.Start())
	t.Cleanup(func() {
		_ = v.cmd.Process.Signal(syscall.SIGTERM)
		_ = v.cmd.Wait()
		if t.Failed() {
			t.Logf("vault server:\n%s", v.log())
		}
	})
	v.await("Vault", time.Minute, func() bool { return v.try("GET", "sys/seal-status", nil, nil) == nil })
	var made struct {
		Keys []string `json:"keys"`
		Root string   `json:"root_token"`
	}
	v.must("PUT", "sys/init", labtest.M{"secret_shares": 1, "secret_threshold": 1}, &made)
	v.root = made.Root
	v.must("PUT", "sys/unseal", labtest.M{"key": made.Keys[0]}, nil)
	v.await("Vault unsealed", time.Minute, func() bool { return v.try("GET", "sys/mounts", nil, nil) == nil })
	v.must("PUT", "sys/plugins/catalog/secret/rekey", labtest.M{
		"sha256": fmt.Sprintf("%x", sha256.Sum256(image)), "command": "rekey", "args": []string{"vault-plugin", "--rollback-after=1s"},
	}, nil)
	v.must("POST", "sys/mounts/gitlab", labtest.M{"type": "rekey"}, nil)
	return v
}

// plugin is the process that Vault started.
func (v *e2eVault) plugin() int {
	v.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	must(v.t, err)
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		_, after, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(after); len(f) > 1 && f[1] == strconv.Itoa(v.cmd.Process.Pid) && strings.Contains(string(text), "(rekey)") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			must(v.t, err)
			return pid
		}
	}
	v.t.Fatalf("no process of the plugin; Vault says\n%s", v.log())
	return 0
}

type e2eCreds struct {
	Lease string `json:"lease_id"`
	Data  struct {
		Token string `json:"token"`
		ID    int64  `json:"runner_id"`
		URL   string `json:"url"`
	} `json:"data"`
}

// stalled answers the next creation only when it is let go: the record is made, and
// nobody knows.
type stalled struct {
	mu   sync.Mutex
	made chan struct{}
	free chan struct{}
}

func (s *stalled) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made, s.free = make(chan struct{}), make(chan struct{})
}

func (s *stalled) take() (made, free chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, free, s.made = s.made, s.free, nil
	return made, free
}

func (s *stalled) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/user/runners") {
			next.ServeHTTP(w, r)
			return
		}
		made, free := s.take()
		next.ServeHTTP(w, r)
		if made != nil {
			close(made)
			<-free
		}
	})
}

func e2eRecords(l *labtest.Lab) int {
	var all []struct{ ID int64 }
	l.Must(http.StatusOK, "GET", "runners/all", nil, &all)
	return len(all)
}

// TestE2EVaultPlugin: a real Vault issues a runner, a job runs on it, the lease's end
// deletes it; and a plugin that is killed while GitLab answers leaves no record.
func TestE2EVaultPlugin(t *testing.T) { eachVault(t, vaultPlugin) }

func vaultPlugin(t *testing.T, v *e2eVault) {
	hold := &stalled{}
	l := labtest.Start(t, labtest.Options{Fault: hold.wrap})
	group := l.Group("acme", 0)
	project, _ := l.Project("web", group)
	l.AllowVariables(project)
	l.CIConfig(project, "hello:\n  tags: [docker]\n  variables:\n    GIT_STRATEGY: none\n  script:\n    - echo hello\n")
	owner := l.User("vault")
	l.Member("groups", group, owner, 50)
	pat := l.PAT(owner, "create_runner", "manage_runner", "read_api")

	v.must("POST", "gitlab/config", labtest.M{"url": l.URL, "token": pat}, nil)
	v.must("POST", "gitlab/roles/docker", labtest.M{"scope": "group", "owner": "acme", "tags": "docker", "ttl": "10m", "max_ttl": "1h"}, nil)
	var creds e2eCreds
	v.must("GET", "gitlab/creds/docker", nil, &creds)
	e2eJobRuns(t, l, project, creds)

	v.must("PUT", "sys/leases/renew", labtest.M{"lease_id": creds.Lease}, nil)
	v.must("PUT", "sys/leases/revoke", labtest.M{"lease_id": creds.Lease, "sync": true}, nil)
	if n := e2eRecords(l); n != 0 {
		t.Errorf("%d records after the lease was revoked, want none", n)
	}
	if a := l.Call("POST", "runners/verify", "", labtest.M{"token": creds.Data.Token, "system_id": "s_0123456789ab"}); a.Status != http.StatusForbidden {
		t.Errorf("the token is answered with %d after the lease was revoked, want 403", a.Status)
	}

	hold.arm()
	made, free := hold.made, hold.free
	answered := make(chan error, 1)
	var again e2eCreds
	go func() { answered <- v.try("GET", "gitlab/creds/docker", nil, &again) }()
	select {
	case <-made:
	case err := <-answered:
		t.Fatalf("creds ended before GitLab was asked: %v", err)
	}
	must(t, syscall.Kill(v.plugin(), syscall.SIGKILL))
	leased := 0
	if err := <-answered; err == nil { // Vault may give the request to a new process
		leased = 1
	}
	close(free)
	if n := e2eRecords(l); n != leased+1 {
		t.Fatalf("%d records after the kill, want the one whose token nobody has beside %d leased", n, leased)
	}
	v.await("the record of the killed plugin deleted", 3*time.Minute, func() bool { return e2eRecords(l) == leased })
	if leased == 0 {
		v.must("GET", "gitlab/creds/docker", nil, &again)
	}
	if a := l.Call("POST", "runners/verify", "", labtest.M{"token": again.Data.Token, "system_id": "s_0123456789ab"}); a.Status != http.StatusOK {
		t.Errorf("the token that was handed out is answered with %d, want 200", a.Status)
	}

	v.must("DELETE", "sys/mounts/gitlab", nil, nil)
	if n := e2eRecords(l); n != 0 {
		t.Errorf("%d records after the engine was disabled, want none", n)
	}
	for name, secret := range map[string]string{"the user token": pat, "the runner's token": creds.Data.Token, "the second runner's": again.Data.Token} {
		if strings.Contains(v.log(), secret) {
			t.Errorf("Vault's log holds %s", name)
		}
	}
}

// e2eJobRuns has a simulated gitlab-runner run a job with the token.
func e2eJobRuns(t *testing.T, l *labtest.Lab, project int64, creds e2eCreds) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.toml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "concurrent = 1\ncheck_interval = 1\n\n[[runners]]\n  name = \"vault\"\n  url = %q\n  token = %q\n  executor = \"shell\"\n", creds.Data.URL, creds.Data.Token), 0o600))
	runner, err := simrunner.New(simrunner.Options{Config: config, Now: time.Now, BuildsDir: filepath.Join(dir, "builds")})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	defer func() { cancel(); <-done }()
	pipeline := l.Pipeline(project, nil)
	var jobs []struct {
		Status string `json:"status"`
		Runner struct {
			ID int64 `json:"id"`
		} `json:"runner"`
	}
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		l.Must(http.StatusOK, "GET", fmt.Sprintf("projects/%d/pipelines/%d/jobs", project, pipeline), nil, &jobs)
		if len(jobs) == 1 && jobs[0].Status == "success" && jobs[0].Runner.ID == creds.Data.ID {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("the job is not done on runner %d within a minute: %+v", creds.Data.ID, jobs)
		case <-tick.C:
		}
	}
}
