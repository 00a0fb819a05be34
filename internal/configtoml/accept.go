package configtoml

import (
	"fmt"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// config mirrors the keys of gitlab-runner's own configuration whose types it
// checks on loading, as far as a file in use may have them wrong. Unknown keys
// are ignored there and here.
type config struct {
	Concurrent       int           `toml:"concurrent"`
	CheckInterval    int           `toml:"check_interval"`
	LogLevel         string        `toml:"log_level"`
	LogFormat        string        `toml:"log_format"`
	User             string        `toml:"user"`
	ListenAddress    string        `toml:"listen_address"`
	SentryDSN        string        `toml:"sentry_dsn"`
	ConnectionMaxAge time.Duration `toml:"connection_max_age"`
	ShutdownTimeout  int           `toml:"shutdown_timeout"`
	SessionServer    sessionServer `toml:"session_server"`
	Runners          []*runner     `toml:"runners"`
}

type sessionServer struct {
	ListenAddress    string `toml:"listen_address"`
	AdvertiseAddress string `toml:"advertise_address"`
	SessionTimeout   int    `toml:"session_timeout"`
}

type runner struct {
	Name                   string          `toml:"name"`
	Limit                  int             `toml:"limit"`
	OutputLimit            int             `toml:"output_limit"`
	RequestConcurrency     int             `toml:"request_concurrency"`
	StrictCheckInterval    bool            `toml:"strict_check_interval"`
	UnhealthyRequestsLimit int             `toml:"unhealthy_requests_limit"`
	UnhealthyInterval      time.Duration   `toml:"unhealthy_interval"`
	URL                    string          `toml:"url"`
	ID                     int64           `toml:"id"`
	Token                  string          `toml:"token"`
	TokenObtainedAt        time.Time       `toml:"token_obtained_at"`
	TokenExpiresAt         time.Time       `toml:"token_expires_at"`
	TLSCAFile              string          `toml:"tls-ca-file"`
	TLSCertFile            string          `toml:"tls-cert-file"`
	TLSKeyFile             string          `toml:"tls-key-file"`
	Executor               string          `toml:"executor"`
	BuildsDir              string          `toml:"builds_dir"`
	CacheDir               string          `toml:"cache_dir"`
	CloneURL               string          `toml:"clone_url"`
	Environment            []string        `toml:"environment"`
	Shell                  string          `toml:"shell"`
	PreBuildScript         string          `toml:"pre_build_script"`
	PostBuildScript        string          `toml:"post_build_script"`
	DebugTraceDisabled     bool            `toml:"debug_trace_disabled"`
	FeatureFlags           map[string]bool `toml:"feature_flags"`
	Docker                 *docker         `toml:"docker"`

	// Of these only that they are tables is checked.
	CustomBuildDir *struct{} `toml:"custom_build_dir"`
	Cache          *struct{} `toml:"cache"`
	Kubernetes     *struct{} `toml:"kubernetes"`
	Machine        *struct{} `toml:"machine"`
	Autoscaler     *struct{} `toml:"autoscaler"`
	SSH            *struct{} `toml:"ssh"`
	Parallels      *struct{} `toml:"parallels"`
	VirtualBox     *struct{} `toml:"virtualbox"`
	Custom         *struct{} `toml:"custom"`
	Referees       *struct{} `toml:"referees"`
}

type docker struct {
	Host         string   `toml:"host"`
	Image        string   `toml:"image"`
	HelperImage  string   `toml:"helper_image"`
	TLSVerify    bool     `toml:"tls_verify"`
	Privileged   bool     `toml:"privileged"`
	DisableCache bool     `toml:"disable_cache"`
	NetworkMode  string   `toml:"network_mode"`
	Memory       string   `toml:"memory"`
	CPUs         string   `toml:"cpus"`
	Volumes      []string `toml:"volumes"`
	ShmSize      int64    `toml:"shm_size"`
}

// typeError is a value of a type that gitlab-runner cannot take, in a file that
// is TOML otherwise.
type typeError struct{ error }

func (e *typeError) Unwrap() error { return e.error }

// accept decodes data as gitlab-runner does, and also as a tree of everything in
// it.
func accept(data []byte) (c *config, tree map[string]any, err error) {
	defer func() {
		// The decoder panics on some input it has no word for, and so does
		// gitlab-runner.
		if r := recover(); r != nil {
			c, tree, err = nil, nil, fmt.Errorf("decoder gave up")
		}
	}()
	var whole toml.Primitive
	meta, err := toml.Decode(string(data), &whole)
	if err != nil {
		return nil, nil, err
	}
	var all any
	if err := meta.PrimitiveDecode(whole, &all); err != nil {
		return nil, nil, err
	}
	c = &config{Concurrent: 1}
	if err := meta.PrimitiveDecode(whole, c); err != nil {
		return nil, nil, &typeError{err}
	}
	tree, _ = all.(map[string]any)
	return c, tree, nil
}

// ambiguous finds two keys that differ in letter case only: gitlab-runner
// matches keys without regard to case and takes one of the two at random.
func ambiguous(tree map[string]any, places *layout) error {
	if folds(tree, "runners") > 1 {
		return &SyntaxError{Line: places.line(0), Column: 1,
			Reason: "expected one spelling of the section name runners: gitlab-runner takes one of several at random"}
	}
	for i, section := range runnersOf(tree) {
		for _, key := range fieldKeys {
			if folds(section, key) > 1 {
				return &SyntaxError{Line: places.line(i), Column: 1,
					Reason: fmt.Sprintf("expected %s once in this section: it is given in several letter cases and gitlab-runner takes one at random", key)}
			}
		}
	}
	return nil
}

func folds(table map[string]any, key string) int {
	n := 0
	for k := range table {
		if strings.EqualFold(k, key) {
			n++
		}
	}
	return n
}

// runnersOf returns the sections of a tree, however they are written.
func runnersOf(tree map[string]any) []map[string]any {
	for key, value := range tree {
		if !strings.EqualFold(key, "runners") {
			continue
		}
		switch v := value.(type) {
		case []map[string]any:
			return v
		case []any:
			tables := make([]map[string]any, len(v))
			for i := range v {
				tables[i], _ = v[i].(map[string]any)
			}
			return tables
		}
	}
	return nil
}
