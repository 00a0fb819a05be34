package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"rekey/internal/cli"
)

const unsent = `[[runners]]
  name = "a"
  url = "https://gitlab.example.com"
  token = "glpat-CANARY00000000000001"
`

// screen runs doctor on a terminal of that width, offline: nothing of the config
// is ever sent.
func screen(t *testing.T, width int, env map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, []byte(unsent), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := cli.Main([]string{"doctor", "--config", path}, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, OutTTY: true, Width: width,
		Getenv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if code != 3 {
		t.Fatalf("doctor ended with %d, want 3; it said %s", code, errs.String())
	}
	return strings.ReplaceAll(out.String(), path, "c.toml")
}

func TestTerminalHasColours(t *testing.T) {
	t.Parallel()
	if got := screen(t, 80, nil); !strings.Contains(got, "\x1b[31m✘\x1b[0m") {
		t.Errorf("got %q, want a red mark", got)
	}
	if got := screen(t, 80, map[string]string{"NO_COLOR": "1"}); strings.Contains(got, "\x1b") {
		t.Errorf("with NO_COLOR got %q, want no escape sequence", got)
	}
	if got := screen(t, 80, map[string]string{"NO_COLOR": ""}); !strings.Contains(got, "\x1b") {
		t.Errorf("with an empty NO_COLOR got %q, want colours: empty is as unset", got)
	}
}

// TestNarrowTerminal holds lines of words to the width; a longer word may stand out.
func TestNarrowTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{40, 60, 100} {
		for line := range strings.Lines(screen(t, width, map[string]string{"NO_COLOR": "1"})) {
			line = strings.TrimRight(line, "\n")
			if n := utf8.RuneCountInString(line); n > width && strings.Contains(strings.TrimSpace(line[len(line)/2:]), " ") && !strings.Contains(line, "✘") {
				t.Errorf("at width %d got a line of %d: %s", width, n, line)
			}
		}
	}
}

// TestASecretStaysOffTheTerminal unless it was asked for.
func TestASecretStaysOffTheTerminal(t *testing.T) {
	t.Parallel()
	get := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := cli.Main(append([]string{"secret", "get", "env:TOKEN"}, args...), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, OutTTY: true,
			Getenv: func(name string) (string, bool) { return "glrt-CANARY1234567890abcd", name == "TOKEN" }})
		return code, out.String(), errs.String()
	}
	if code, out, errs := get(); code != 2 || out != "" || !strings.Contains(errs, "--reveal") {
		t.Errorf("without --reveal: %d, %q, %q, want 2, nothing, and how to see it", code, out, errs)
	}
	if code, out, errs := get("--reveal"); code != 0 || out != "glrt-CANARY1234567890abcd\n" || errs != "" {
		t.Errorf("with --reveal: %d, %q, %q, want the token alone", code, out, errs)
	}
}
