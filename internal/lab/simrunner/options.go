package simrunner

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rekey"
)

// Options says what a Runner reads and what it reports of itself.
type Options struct {
	Config  string        // path of config.toml; a missing file is a runner without sections
	Version rekey.Version // what it reports and behaves as; zero is 17.11.0

	// Log takes lines in gitlab-runner's own format; nil discards them. Writes
	// are serialised.
	Log io.Writer

	Now       func() time.Time    // required
	SystemID  rekey.SystemID      // "" is the one beside the config, made where it is missing
	BuildsDir string              // where jobs work; "" is the section's builds_dir, else "builds" beside the config
	Getenv    func(string) string // for ${VAR} in token and url from 18.10 on; nil is os.Getenv

	// HTTPClient makes every request; nil is one client with one transport for
	// all sections. It follows redirects, as gitlab-runner does.
	HTTPClient *http.Client
}

// defaultVersion is what a Runner reports when Options name nothing.
var defaultVersion = rekey.Version{Major: 17, Minor: 11}

// requestTimeout bounds one request; GitLab's long polling answers within 50 s.
const requestTimeout = 2 * time.Minute

func (o Options) withDefaults() (Options, error) {
	if o.Config == "" || o.Now == nil {
		return o, rekey.Errorf(rekey.KindInternal, "a simulated runner needs a config and a clock")
	}
	if o.Version.IsZero() {
		o.Version = defaultVersion
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.BuildsDir != "" {
		abs, err := filepath.Abs(o.BuildsDir)
		if err != nil {
			return o, rekey.Errorf(rekey.KindInvalid, "builds directory: %w", err)
		}
		o.BuildsDir = abs
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: sharedTransport(), Timeout: requestTimeout}
	}
	return o, nil
}

// sharedTransport keeps enough idle connections that thousands of sections
// which poll one coordinator do not open a connection for every poll.
func sharedTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = 512
	t.IdleConnTimeout = 90 * time.Second
	return t
}
