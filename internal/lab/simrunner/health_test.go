package simrunner

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
)

// bubble runs f with a runner whose time is synctest's and whose coordinator
// needs no port.
func bubble(t *testing.T, version, config string, c *coordinator, f func(x *running)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	writeConfig(t, path, config)
	synctest.Test(t, func(t *testing.T) {
		log := &buffer{}
		r, err := New(Options{Config: path, Version: parse(t, version), Log: log, Now: time.Now, HTTPClient: &http.Client{Transport: c}})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		x := &running{Runner: r, log: log, config: path, cancel: cancel, ended: make(chan struct{})}
		go func() { defer close(x.ended); _ = r.Run(ctx) }()
		f(x)
		cancel()
		<-x.ended
	})
}

// advance lets bubble time pass.
func advance(d time.Duration) { <-time.After(d); synctest.Wait() }

func sectionText(extra string) string {
	return fmt.Sprintf("[[runners]]\n  name = \"one\"\n  url = \"http://host\"\n  token = %q\n%s\n", canary, extra)
}

func TestThreeRefusalsDisableForAnHour(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t)
	bubble(t, "17.11", sectionText(""), c, func(x *running) {
		advance(10 * time.Second)
		if got := x.Stats(); got.Polls != 3 || got.Refused != 3 || !got.Sections[0].Disabled {
			t.Errorf("after 10 s: %+v, want 3 polls, all refused, disabled", got)
		}
		want := `ERROR: Runner "http://hostCANARY012" is unhealthy and will be disabled for 1h0m0s seconds!  unhealthy_requests=3 unhealthy_requests_limit=3` + "\n"
		contains(t, "the log", x.log.String(), want,
			"ERROR: Checking for jobs... forbidden               runner=CANARY012 status=POST http://host/api/v4/jobs/request: 403 Forbidden\n")
		advance(59 * time.Minute)
		if got := x.Stats().Polls; got != 3 {
			t.Errorf("polls within the hour: %d, want 3", got)
		}
		c.look(func() { c.tokens[canary] = true })
		advance(2 * time.Minute)
		contains(t, "the log", x.log.String(), `WARNING: Runner "http://hostCANARY012" is not healthy, but check for a new job will be forced!  unhealthy_interval=1h0m0s`+"\n")
		if got := x.Stats(); got.Polls < 10 || got.Sections[0].Disabled {
			t.Errorf("after the hour: %+v, want it to poll again", got)
		}
		lacks(t, "the log", x.log.String(), canary)
	})
}

func TestOlderVersionsSayItOtherwise(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t)
	bubble(t, "15.6", sectionText(""), c, func(x *running) {
		advance(10 * time.Second)
		log := x.log.String()
		contains(t, "the log", log, "ERROR: Runner http://hostglrt-CAN is not healthy and will be disabled!")
		lacks(t, "the log", log, "status=", canary)
		advance(time.Hour)
		contains(t, "the log", x.log.String(), "ERROR: Runner http://hostglrt-CAN is not healthy, but will be checked!")
	})
}

func TestLimitAndIntervalOfTheSection(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t)
	bubble(t, "17.11", sectionText("  unhealthy_requests_limit = 5\n  unhealthy_interval = \"60s\""), c, func(x *running) {
		advance(50 * time.Second)
		if got := x.Stats().Polls; got != 5 {
			t.Errorf("polls: %d, want 5", got)
		}
		advance(40 * time.Second)
		if got := x.Stats().Polls; got <= 5 {
			t.Errorf("polls after the interval: %d, want more than 5", got)
		}
	})
}

func TestOnlyRefusalsAndBadURLsAreUnhealthy(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 404, 409, 422, 429, 500, 502, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			c := newCoordinator(t)
			c.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				http.Error(w, "<html>no</html>", status)
				return true
			}
			bubble(t, "18.11", sectionText(""), c, func(x *running) {
				advance(5 * time.Minute)
				if got := x.Stats(); got.Sections[0].Disabled || got.Polls < 5 {
					t.Errorf("%d: %+v, want it to go on polling", status, got)
				}
				contains(t, "the log", x.log.String(), "WARNING: Checking for jobs... ")
			})
		})
	}
	for url, line := range map[string]string{
		"host.example.com": "only http or https scheme supported",
		" http://host":     "first path segment in URL cannot contain colon",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			bubble(t, "17.11", strings.Replace(sectionText(""), "http://host", url, 1), newCoordinator(t), func(x *running) {
				advance(time.Minute)
				contains(t, "the log", x.log.String(), "ERROR: Checking for jobs... client error", line)
				if got := x.Stats().Sections[0]; !got.Disabled {
					t.Errorf("bad URL %q: %+v, want disabled", url, got)
				}
			})
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t)
	c.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	bubble(t, "17.11", sectionText(""), c, func(x *running) {
		advance(119 * time.Second)
		if got := x.Stats().Polls; got != 1 {
			t.Errorf("polls in 119 s: %d, want 1", got)
		}
	})
}

// touch sets the config's mtime relative to what it is.
func touch(t testing.TB, path string, by time.Duration) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	when := info.ModTime().Add(by)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func TestReloadClearsHealth(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*testing.T, *running){
		"newer mtime": func(t *testing.T, x *running) { touch(t, x.config, time.Second) },
		"signal":      func(_ *testing.T, x *running) { x.Reload() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCoordinator(t)
			bubble(t, "17.11", sectionText(""), c, func(x *running) {
				advance(time.Minute)
				c.look(func() { c.tokens[canary] = true })
				act(t, x)
				advance(7 * time.Second)
				if got := x.Stats(); got.Polls < 4 || got.Sections[0].Disabled {
					t.Errorf("after the reload: %+v, want it to poll", got)
				}
				if got := strings.Count(x.log.String(), "Configuration loaded"); got != 2 {
					t.Errorf("loads: %d, want 2", got)
				}
			})
		})
	}
}

func TestSameOrOlderMtimeIsNotSeen(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t)
	bubble(t, "17.11", sectionText(""), c, func(x *running) {
		info, err := os.Stat(x.config)
		if err != nil {
			t.Fatal(err)
		}
		writeConfig(t, x.config, sectionText("")+sectionText(""))
		for _, by := range []time.Duration{0, -time.Hour} {
			if err := os.Chtimes(x.config, info.ModTime().Add(by), info.ModTime().Add(by)); err != nil {
				t.Fatal(err)
			}
			advance(time.Minute)
			if got := len(x.Stats().Sections); got != 1 {
				t.Errorf("sections with an mtime %v from the old: %d, want 1", by, got)
			}
		}
	})
}

func TestBrokenReloadKeepsTheOldConfig(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	bubble(t, "17.11", sectionText(""), c, func(x *running) {
		advance(10 * time.Second)
		writeConfig(t, x.config, "[[runners]]\n token = \"\""+canary+"\"\"\n")
		touch(t, x.config, time.Hour)
		before := x.Stats().Polls
		advance(time.Minute)
		if got := x.Stats(); got.Polls <= before || len(got.Sections) != 1 || got.Refused != 0 {
			t.Errorf("after the broken file: %+v, want the old section to go on", got)
		}
		log := x.log.String()
		if got := strings.Count(log, "ERROR: Failed to load config decoding configuration file: toml: line 2"); got != 2 {
			t.Errorf("the failure is logged %d times, want 2:\n%s", got, log)
		}
		lacks(t, "the log", log, canary)
	})
}

func TestEmptyTokenIsSkippedFrom191(t *testing.T) {
	t.Parallel()
	for version, polls := range map[string]bool{"19.0": true, "19.1": false} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			config := strings.Replace(sectionText(""), canary, "", 1)
			bubble(t, version, config, newCoordinator(t), func(x *running) {
				advance(10 * time.Second)
				if got := x.Stats().Polls > 0; got != polls {
					t.Errorf("polls: %v, want %v", got, polls)
				}
				if got := strings.Contains(x.log.String(), "Runner token is empty or whitespace"); got == polls {
					t.Errorf("warned: %v, want %v", got, !polls)
				}
			})
		})
	}
}

func TestThousandsOfSectionsArePolledOncePerInterval(t *testing.T) {
	t.Parallel()
	const n = 3000
	c := newCoordinator(t, canary)
	config := "concurrent = 100\ncheck_interval = 30\n" + strings.Repeat(sectionText(""), n)
	before := runtime.NumGoroutine()
	bubble(t, "17.11", config, c, func(x *running) {
		advance(90*time.Second - time.Millisecond)
		if got := x.Stats().Polls; got != 3*n {
			t.Errorf("polls in three rounds: %d, want %d", got, 3*n)
		}
		if got := runtime.NumGoroutine() - before; got > 200 {
			t.Errorf("goroutines: %d more, want few", got)
		}
	})
}

func TestJobTokensAndReasonsStaySecret(t *testing.T) {
	t.Parallel()
	j := job{token: rekey.NewToken("glcbt-CANARY")}
	j.Features.FailureReasons = []string{"script_failure", "unknown_failure"}
	if got := j.reason("job_execution_timeout"); got != "unknown_failure" {
		t.Errorf("a reason the server does not know becomes %q, want unknown_failure", got)
	}
	lacks(t, "the job as text", fmt.Sprintf("%v %+v", j, j), "glcbt-CANARY")
}
