package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"rekey"
)

// endpoint is where a daemon listens; its TLS files are "" where there are none.
type endpoint struct {
	host          string // "unix:///var/run/docker.sock"
	ca, cert, key string
	from          string // what named it, for people
}

// resolve finds the daemon as the docker command does: DOCKER_HOST, else the
// context that was asked for, DOCKER_CONTEXT or the current one of its config,
// else the local socket.
func (o Options) resolve() (endpoint, error) {
	name := o.Context
	if name == "" {
		if host := o.Getenv("DOCKER_HOST"); host != "" {
			return o.fromEnvironment(host)
		}
		name = o.contextInForce()
	}
	if name == "" || name == "default" {
		return endpoint{host: localSocket(), from: "docker's default"}, nil
	}
	return o.fromContext(name)
}

func localSocket() string {
	if runtime.GOOS == "windows" {
		return "npipe:////./pipe/docker_engine"
	}
	return "unix:///var/run/docker.sock"
}

func (o Options) fromEnvironment(host string) (endpoint, error) {
	e := endpoint{host: host, from: "DOCKER_HOST"}
	if !strings.Contains(host, "://") {
		e.host = "tcp://" + host
	}
	dir := o.Getenv("DOCKER_CERT_PATH")
	if o.Getenv("DOCKER_TLS_VERIFY") != "" || dir != "" {
		if dir == "" {
			dir = o.configDir()
		}
		e.ca, e.cert, e.key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	return e, nil
}

func (o Options) configDir() string {
	if dir := o.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	return filepath.Join(o.Home, ".docker")
}

// contextInForce names the context of the docker command, "" for its default. A
// config that cannot be read names none, as for the docker command.
func (o Options) contextInForce() string {
	if name := o.Getenv("DOCKER_CONTEXT"); name != "" {
		return name
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	data, err := readFile(filepath.Join(o.configDir(), "config.json"))
	if err != nil || json.Unmarshal(data, &config) != nil {
		return ""
	}
	return config.CurrentContext
}

// fromContext reads a context of the docker command from where it keeps them: in
// directories named by the digest of the context's name.
func (o Options) fromContext(name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	data, err := readFile(filepath.Join(o.configDir(), "contexts", "meta", id, "meta.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return endpoint{}, rekey.Errorf(rekey.KindNotFound, "there is no docker context %q", name).WithHint("see `docker context ls`; DOCKER_CONTEXT and ~/.docker/config.json choose one, DOCKER_HOST overrules both")
	case err != nil:
		return endpoint{}, rekey.Errorf(rekey.KindDenied, "the docker context %q cannot be read: %w", name, err)
	case json.Unmarshal(data, &meta) != nil || meta.Endpoints["docker"].Host == "":
		return endpoint{}, rekey.Errorf(rekey.KindInvalid, "the docker context %q names no daemon", name).WithHint("see `docker context inspect %s`", name)
	}
	e := endpoint{host: meta.Endpoints["docker"].Host, from: "the docker context " + name}
	dir := filepath.Join(o.configDir(), "contexts", "tls", id, "docker")
	for file, field := range map[string]*string{"ca.pem": &e.ca, "cert.pem": &e.cert, "key.pem": &e.key} {
		if path := filepath.Join(dir, file); exists(path) {
			*field = path
		}
	}
	return e, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readFile reads a small file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}
