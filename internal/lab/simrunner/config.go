package simrunner

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"rekey"
)

// config is what a runner knows of config.toml; names and types are those that
// gitlab-runner decodes into, so that a wrong type is refused here too.
type config struct {
	Concurrent      int              `toml:"concurrent"`
	CheckInterval   int              `toml:"check_interval"`   // seconds; 0 and less is 3
	ShutdownTimeout int              `toml:"shutdown_timeout"` // seconds; 0 is 30
	Runners         []*sectionConfig `toml:"runners"`

	modTime time.Time
}

// sectionConfig is one [[runners]].
type sectionConfig struct {
	Name                   string         `toml:"name"`
	URL                    string         `toml:"url"`
	ID                     int64          `toml:"id"`
	TokenText              string         `toml:"token"`
	TokenObtainedAt        time.Time      `toml:"token_obtained_at"`
	TokenExpiresAt         time.Time      `toml:"token_expires_at"`
	Limit                  int            `toml:"limit"`
	RequestConcurrency     int            `toml:"request_concurrency"`
	UnhealthyRequestsLimit int            `toml:"unhealthy_requests_limit"`
	UnhealthyInterval      *time.Duration `toml:"unhealthy_interval"`
	StrictCheckInterval    *bool          `toml:"strict_check_interval"`
	FinalUpdateRetryLimit  int            `toml:"job_status_final_update_retry_limit"`
	OutputLimit            int            `toml:"output_limit"` // KiB; 0 is 4096
	Executor               string         `toml:"executor"`
	Shell                  string         `toml:"shell"`
	BuildsDir              string         `toml:"builds_dir"`
	Environment            []string       `toml:"environment"`

	token rekey.Token // TokenText, expanded where the version expands; TokenText is emptied
}

// loadConfig reads path as gitlab-runner of the version does. A missing file is
// an empty config. Errors never quote a value of the file.
func loadConfig(path string, version rekey.Version, getenv func(string) string) (*config, error) {
	c := &config{Concurrent: 1}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := toml.Decode(string(data), c); err != nil {
		return nil, decodeError(err)
	}
	if c.Concurrent < 1 {
		//lint:ignore ST1005 these are gitlab-runner's words
		return nil, errors.New("Concurrent is less than 1 - no jobs will be processed")
	}
	c.modTime = info.ModTime()
	for _, s := range c.Runners {
		s.expand(version, getenv)
	}
	return c, nil
}

// decodeError names the line only: the parser's own text quotes what it met,
// which may be a token without its quotes.
func decodeError(err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("decoding configuration file: toml: line %d (last key %q): not valid TOML", parse.Position.Line, parse.LastKey)
	}
	return fmt.Errorf("decoding configuration file: %w", err)
}

// expand takes the token out of reach of formatting and, from 18.10 on, replaces
// $VAR and ${VAR} in url and token.
func (s *sectionConfig) expand(version rekey.Version, getenv func(string) string) {
	token := s.TokenText
	if version.AtLeast(18, 10) {
		token, s.URL = os.Expand(token, getenv), os.Expand(s.URL, getenv)
	}
	s.token, s.TokenText = rekey.NewToken(token), ""
}

func (c *config) checkInterval() time.Duration {
	if c.CheckInterval <= 0 {
		return 3 * time.Second
	}
	return time.Duration(c.CheckInterval) * time.Second
}

func (c *config) shutdownTimeout() time.Duration {
	if c.ShutdownTimeout <= 0 {
		return 30 * time.Second
	}
	return time.Duration(c.ShutdownTimeout) * time.Second
}

func (s *sectionConfig) unhealthyLimit() int { return orDefault(s.UnhealthyRequestsLimit, 3) }

func (s *sectionConfig) requestLimit() int { return orDefault(s.RequestConcurrency, 1) }

func (s *sectionConfig) finalRetries() int { return orDefault(s.FinalUpdateRetryLimit, 10) }

func (s *sectionConfig) traceLimit() int { return orDefault(s.OutputLimit, 4096) * 1024 }

func (s *sectionConfig) unhealthyInterval() time.Duration {
	if s.UnhealthyInterval == nil || *s.UnhealthyInterval <= 0 {
		return time.Hour
	}
	return *s.UnhealthyInterval
}

// apiURL returns the section's base for API calls without a final slash: a
// trailing "/" and one "/ci" are stripped, as gitlab-runner does.
func (s *sectionConfig) apiURL() (string, error) {
	base := strings.TrimRight(s.URL, "/")
	base = strings.TrimSuffix(base, "/ci")
	u, err := url.Parse(base + "/api/v4/")
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("only http or https scheme supported")
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

func orDefault(n, fallback int) int {
	if n <= 0 {
		return fallback
	}
	return n
}
