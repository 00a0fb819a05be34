package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// wrongPAT is a user token that no GitLab knows.
const wrongPAT = "glpat-CANARYwrong9876zyxwv"

// commands gives every command that handles a token, in good ways and bad.
func (d *demoRun) commands() {
	d.t.Helper()
	d.secret("the wrong user token", wrongPAT)
	alpha := filepath.Join(d.dir, "hosts", "alpha", "config.toml")
	quick := []string{"--rps", "0", "--proof-wait", "0s", "--recheck-after", "0s"}
	with := func(args ...string) []string { return append(args, quick...) }

	d.rekey("", anyCode, "doctor", "--config", alpha, "--rps", "0")
	d.rekey("", anyCode, "doctor", "--config", alpha, "--rps", "0", "-o", "json")
	d.rekey("", 0, with("register", "--config", alpha, "--name", "registered", "--scope", "instance", "--tag-list", "sweep")...)
	d.sections(alpha)
	d.rekey("", 0, with("rotate", "registered", "--config", alpha, "--yes", "--strategy", "in-place")...)
	d.sections(alpha)
	d.rekey("", anyCode, "rotate", "registered", "--config", alpha, "--yes", "--rps", "0", "--proof-wait", "10s", "--recheck-after", "0s")
	d.sections(alpha)
	d.rekey("", 0, "runner", "list")

	own, id, token := d.broken()
	d.env(wrongPAT).rekey("", anyCode, with("fix", "--yes", "--config", own)...)
	d.env("").rekey("", anyCode, with("fix", "--yes", "--config", own)...)
	d.env("").rekey("glrt-CANARY is no token 0123456789\n", failure, with("fix", "--yes", "--config", own, "--token-file", "-")...)
	d.secret("the token that is none", "glrt-CANARY is no token 0123456789")
	d.env("").rekey(token+"\n", 0, with("fix", "--yes", "--config", own, "--token-file", "-")...)
	d.env("").rekey("", 0, "fix", "--undo", "--config", own)
	d.rekey("", 0, "runner", "show", fmt.Sprint(id))
	tokens := filepath.Join(d.dir, "tokens")
	agent := []string{"agent", "--once", "--config", alpha, "--section", "registered", "--rps", "0", "--store", "file://" + filepath.Join(tokens, "{name}.sealed")}
	d.env("").rekey("", 0, agent...)
	d.env("").rekey(token+"\n", 0, "secret", "put", "file://"+filepath.Join(tokens, "registered.sealed"))
	d.env("").rekey("", anyCode, agent...)
	d.sections(alpha)
	d.traces(own)
	d.unreadable()
	d.credentialInURL()
}

// environment of the commands to come; pat is "" for none.
type commander struct {
	*demoRun
	pat string
}

func (d *demoRun) env(pat string) commander { return commander{d, pat} }

func (d *demoRun) rekey(stdin string, code int, args ...string) {
	d.env(d.pat).rekey(stdin, code, args...)
}

func (c commander) environ() []string {
	env := []string{"HOME=" + c.dir, "TMPDIR=" + c.temp, "REKEY_STATE_DIR=" + filepath.Join(c.dir, "state"), "GITLAB_HOST=" + c.url, "GOTRACEBACK=system"}
	if c.pat != "" {
		env = append(env, "GITLAB_TOKEN="+c.pat)
	}
	return env
}

// What a command may end with, beside a code.
const failure, anyCode = -1, -2

// rekey runs one command and keeps what it said.
func (c commander) rekey(stdin string, code int, args ...string) {
	c.t.Helper()
	e := invoke(c.t, c.environ(), stdin, args...)
	if code >= 0 && e.code != code || code == failure && e.code == 0 {
		c.t.Errorf("want code %d: %v", code, e)
	}
	c.said(args, e.stdout, e.stderr)
}

func (d *demoRun) said(args []string, stdout, stderr string) {
	name := fmt.Sprintf("command %d, rekey %s", len(d.corpus), strings.Join(args, " "))
	d.corpus[name+": standard output"], d.corpus[name+": standard error"] = []byte(stdout), []byte(stderr)
}

// broken writes a config whose record is gone, and makes another record: its id
// and its token, as a colleague would hand it over.
func (d *demoRun) broken() (config string, id int64, token string) {
	d.t.Helper()
	gone, oldToken := d.create()
	d.api(http.MethodDelete, fmt.Sprintf("runners/%d", gone), nil)
	config = filepath.Join(d.dir, "hosts", "own", "config.toml")
	must(d.t, os.MkdirAll(filepath.Dir(config), 0o700))
	text := fmt.Sprintf("[[runners]]\n  name = \"own\"\n  url = %q\n  id = %d\n  token = %q\n  executor = \"shell\"\n", d.url, gone, oldToken)
	must(d.t, os.WriteFile(config, []byte(text), 0o600))
	must(d.t, os.WriteFile(filepath.Join(filepath.Dir(config), ".runner_system_id"), []byte("r_CANARYsweep1"), 0o600))
	id, token = d.create()
	return config, id, token
}

// create makes a record as GitLab's page does.
func (d *demoRun) create() (int64, string) {
	d.t.Helper()
	var made struct {
		ID    int64
		Token string
	}
	must(d.t, json.Unmarshal(d.api(http.MethodPost, "user/runners", map[string]any{"runner_type": "instance_type", "tag_list": []string{"sweep"}}), &made))
	d.secret(fmt.Sprintf("the token of runner %d", made.ID), made.Token)
	return made.ID, made.Token
}

func (d *demoRun) api(method, path string, body any) []byte {
	d.t.Helper()
	text, err := json.Marshal(body)
	must(d.t, err)
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+"/api/v4/"+path, bytes.NewReader(text))
	must(d.t, err)
	r.Header.Set("Private-Token", d.pat)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	must(d.t, err)
	defer func() { _ = answer.Body.Close() }()
	var out bytes.Buffer
	_, err = out.ReadFrom(answer.Body)
	must(d.t, err)
	if answer.StatusCode >= 300 {
		d.t.Fatalf("%s %s: %s: %s", method, path, answer.Status, &out)
	}
	return out.Bytes()
}

// traces makes the runtime write the stacks of all goroutines, as it does in a
// panic, while a command holds tokens and waits for an answer.
func (d *demoRun) traces(config string) {
	d.t.Helper()
	asked, release := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { once(); <-release }))
	defer hung.Close()
	defer close(release)
	text, err := os.ReadFile(config)
	must(d.t, err)
	moved := strings.ReplaceAll(string(text), d.url, hung.URL)
	path := filepath.Join(d.dir, "hosts", "hung", "config.toml")
	must(d.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(d.t, os.WriteFile(path, []byte(moved), 0o600))
	cmd := exec.CommandContext(d.t.Context(), binary, "fix", "--yes", "--rps", "0", "--config", path)
	cmd.Env = append(d.env(d.pat).environ(), "GITLAB_HOST="+hung.URL)
	var out, trace bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trace
	must(d.t, cmd.Start())
	<-asked
	must(d.t, cmd.Process.Signal(syscall.SIGQUIT))
	_ = cmd.Wait() // it ends as a panic does
	if !strings.Contains(trace.String(), "goroutine ") {
		d.t.Errorf("no stack was written: %s", &trace)
	}
	d.said(cmd.Args[1:], out.String(), trace.String())
}

// unreadable shows configs that cannot be parsed, broken just where the token is.
func (d *demoRun) unreadable() {
	d.t.Helper()
	const token = "glrt-CANARYbroken0123abcdef"
	d.secret("a token in a broken line", token)
	for i, line := range []string{`token = "` + token, `token = ` + token, `token = "` + token + `" "more"`, `token = ["` + token + `"]`, token, `"` + token + `"]]`} {
		path := filepath.Join(d.dir, "hosts", fmt.Sprintf("broken%d", i), "config.toml")
		must(d.t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(d.t, os.WriteFile(path, []byte("[[runners]]\n  url = \""+d.url+"\"\n  "+line+"\n"), 0o600))
		d.rekey("", failure, "doctor", "--config", path)
		d.rekey("", failure, "fix", "--yes", "--config", path)
	}
}

// credentialInURL shows a config whose url holds a password, as a clone URL does.
func (d *demoRun) credentialInURL() {
	d.t.Helper()
	const password = "glpat-CANARYinurl45678abcd"
	d.secret("the password in a url", password)
	for i, url := range []string{strings.Replace(d.url, "://", "://ci:"+password+"@", 1), "http://ci:" + password + "@127.0.0.1:9", d.url + "/?private_token=" + password, "http://" + password + "@ bad"} {
		path := filepath.Join(d.dir, "hosts", fmt.Sprintf("url%d", i), "config.toml")
		must(d.t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(d.t, os.WriteFile(path, fmt.Appendf(nil, "[[runners]]\n  name = \"url\"\n  url = %q\n  token = \"glrt-CANARYurl0123456789ab\"\n", url), 0o600))
		d.rekey("", anyCode, "doctor", "--config", path, "--timeout", "2s")
		d.rekey("", anyCode, "doctor", "--config", path, "--timeout", "2s", "-o", "json")
		d.rekey("", anyCode, "fix", "--yes", "--config", path, "--timeout", "2s")
	}
}
