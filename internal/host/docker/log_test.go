//go:build linux

package docker_test

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"rekey"
	"rekey/internal/host/docker"
)

func TestALogIsWholeAndDated(t *testing.T) {
	t.Parallel()
	d := real(t)
	dated := regexp.MustCompile(`(?m)^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z `)
	for _, tty := range []bool{false, true} {
		name := map[bool]string{false: "log-piped", true: "log-terminal"}[tty]
		c := d.run(t, name, func(c *container.Config, _ *container.HostConfig) { c.Tty = tty })
		text := untilLogged(t, c, "403 Forbidden")
		for _, want := range []string{"Starting multi-runner from", "104 <nil>", "Checking for jobs... forbidden"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the log lacks %q:\n%s", name, want, text)
			}
		}
		if n := len(dated.FindAllString(text, -1)); n != 3 {
			t.Errorf("%s: %d lines of 3 begin with their time:\n%q", name, n, text)
		}
	}
}

func untilLogged(t *testing.T, c *docker.Container, what string) string {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		in, err := c.Log(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		_ = in.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), what) {
			return string(data)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the log never said %q: %q", what, data)
		case <-tick.C:
		}
	}
}

func TestALogSinceLaterIsEmpty(t *testing.T) {
	t.Parallel()
	c := real(t).run(t, "log-since", nil)
	untilLogged(t, c, "forbidden")
	in, err := c.Log(t.Context(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if data, err := io.ReadAll(in); err != nil || len(data) != 0 {
		t.Errorf("got %q, %v; want nothing of before 2100", data, err)
	}
}

func TestALogThatIsKeptNowhere(t *testing.T) {
	t.Parallel()
	c := real(t).run(t, "log-none", func(_ *container.Config, h *container.HostConfig) {
		h.LogConfig = container.LogConfig{Type: "none"}
	})
	_, err := c.Log(t.Context(), time.Time{})
	if err == nil || !strings.Contains(err.Error(), "the log of container log-none cannot be read") || !strings.Contains(rekey.HintOf(err), "--log FILE") {
		t.Errorf("got %v (hint %q), want that its driver keeps no log", err, rekey.HintOf(err))
	}
}
