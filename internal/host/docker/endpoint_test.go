package docker_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/host/docker"
)

// dockerHome is a home with the docker command's config: the context "here" is the
// current one, "far" is reached by ssh, "none" is not there.
func dockerHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	put := func(path, text string) {
		path = filepath.Join(home, ".docker", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	meta := func(name string) string {
		sum := sha256.Sum256([]byte(name))
		return filepath.Join("contexts/meta", hex.EncodeToString(sum[:]), "meta.json")
	}
	put("config.json", `{"auths":{},"currentContext":"here"}`)
	put(meta("here"), `{"Name":"here","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///here.sock","SkipTLSVerify":false}}}`)
	put(meta("far"), `{"Name":"far","Endpoints":{"docker":{"Host":"ssh://ci@far.test:2222"}}}`)
	put(meta("empty"), `{"Name":"empty","Endpoints":{}}`)
	return home
}

func TestTheDaemonIsThatOfTheDockerCommand(t *testing.T) {
	t.Parallel()
	home := dockerHome(t)
	for _, tt := range []struct {
		name    string
		context string
		home    string
		env     map[string]string
		want    string
	}{
		{"nothing set", "", t.TempDir(), nil, "unix:///var/run/docker.sock"},
		{"the current context", "", home, nil, "unix:///here.sock"},
		{"DOCKER_HOST overrules it", "", home, map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2375", "DOCKER_CONTEXT": "here"}, "tcp://127.0.0.1:2375"},
		{"DOCKER_CONTEXT overrules the config", "", home, map[string]string{"DOCKER_CONTEXT": "default"}, "unix:///var/run/docker.sock"},
		{"what was asked for overrules all", "here", home, map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2375"}, "unix:///here.sock"},
		{"DOCKER_CONFIG names the directory", "", "/nowhere", map[string]string{"DOCKER_CONFIG": filepath.Join(home, ".docker")}, "unix:///here.sock"},
		{"DOCKER_HOST without a scheme", "", home, map[string]string{"DOCKER_HOST": "127.0.0.1:2375"}, "tcp://127.0.0.1:2375"},
	} {
		d, err := docker.Open(docker.Options{Home: tt.home, Context: tt.context, Getenv: func(name string) string { return tt.env[name] }})
		if err != nil || d.String() != tt.want {
			t.Errorf("%s: got %v, %v; want %s", tt.name, d, err, tt.want)
		}
	}
}

func TestADaemonThatCannotBeNamed(t *testing.T) {
	t.Parallel()
	home := dockerHome(t)
	for _, tt := range []struct {
		context string
		env     map[string]string
		kind    rekey.Kind
		text    string
		hint    string
	}{
		{"none", nil, rekey.KindNotFound, `there is no docker context "none"`, "docker context ls"},
		{"empty", nil, rekey.KindInvalid, `the docker context "empty" names no daemon`, "docker context inspect empty"},
		{"far", nil, rekey.KindInvalid, "ssh://ci@far.test:2222, which rekey does not reach by itself", "ssh -nNT -L $HOME/docker.sock:/var/run/docker.sock -p 2222 ci@far.test"},
		{"", map[string]string{"DOCKER_HOST": "ssh://far.test"}, rekey.KindInvalid, "DOCKER_HOST names the daemon at ssh://far.test", "docker.sock far.test`"},
		{"", map[string]string{"DOCKER_HOST": "tcp://far.test:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nowhere"}, rekey.KindInvalid, "cannot be asked", ""},
	} {
		_, err := docker.Open(docker.Options{Home: home, Context: tt.context, Getenv: func(name string) string { return tt.env[name] }})
		if err == nil || rekey.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) || !strings.Contains(rekey.HintOf(err), tt.hint) {
			t.Errorf("%q %v: got %v (%s; hint %q), want %q and the hint %q", tt.context, tt.env, err, rekey.KindOf(err), rekey.HintOf(err), tt.text, tt.hint)
		}
	}
}

// TestAContextsCAIsUsed asks a daemon over TLS that only the context's CA vouches for.
func TestAContextsCAIsUsed(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Api-Version", "1.41")
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(server.Close)
	home := t.TempDir()
	sum := sha256.Sum256([]byte("far"))
	id := hex.EncodeToString(sum[:])
	for path, text := range map[string]string{
		"meta/" + id + "/meta.json":    `{"Name":"far","Endpoints":{"docker":{"Host":"tcp://` + server.Listener.Addr().String() + `"}}}`,
		"tls/" + id + "/docker/ca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
	} {
		path = filepath.Join(home, ".docker", "contexts", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for context, want := range map[string]bool{"far": true, "": false} {
		d, err := docker.Open(docker.Options{Home: home, Context: context, Getenv: func(name string) string {
			return map[string]string{"DOCKER_HOST": "tcp://" + server.Listener.Addr().String()}[name]
		}})
		if err != nil {
			t.Fatal(err)
		}
		all, err := d.Runners(t.Context())
		if (err == nil) != want || len(all) != 0 {
			t.Errorf("context %q: got %v, %v; want that TLS works %v", context, all, err, want)
		}
	}
}
