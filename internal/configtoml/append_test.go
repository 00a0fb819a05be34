package configtoml

import (
	"strings"
	"testing"

	"rekey"
)

var added = NewSection{
	Name: "three", URL: "https://gitlab.example.com", ID: 33, Token: newToken,
	ObtainedAt: obtained, Executor: "shell",
}

const addedText = `[[runners]]
  name = "three"
  url = "https://gitlab.example.com"
  id = 33
  token = "glrt-CANARY3cccccccccccccc"
  token_obtained_at = 2025-02-03T04:05:06Z
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "shell"
  [runners.cache]
    MaxUploadedArchiveSize = 0
    [runners.cache.s3]
    [runners.cache.gcs]
    [runners.cache.azure]
`

func TestAppendToAnEmptyFile(t *testing.T) {
	t.Parallel()
	want := `concurrent = 1
check_interval = 0
shutdown_timeout = 0

[session_server]
  session_timeout = 1800

` + addedText
	for before, want := range map[string]string{
		"":                want,
		"\ufeff":          "\ufeff" + want,
		"# mine":          "# mine\n\n" + want,
		"# mine\r\n\r\n":  "# mine\r\n\r\n" + strings.ReplaceAll(want, "\n", "\r\n"),
		"concurrent = 2":  "concurrent = 2\n\n" + addedText,
		"[x]\n# the end ": "[x]\n# the end \n\n" + addedText,
	} {
		d, err := parse(t, before).Append(added)
		if err != nil {
			t.Fatalf("%q: %v", before, err)
		}
		if got := string(d.Bytes()); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", before, got, want)
		}
	}
}

func TestAppendToEveryShape(t *testing.T) {
	t.Parallel()
	for name, data := range shapes() {
		before := parse(t, data)
		after, err := before.Append(added)
		if name == "inline" {
			if rekey.KindOf(err) != rekey.KindInvalid {
				t.Errorf("%s: got error %v, want one of kind %q", name, err, rekey.KindInvalid)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(after.Bytes()); !strings.HasPrefix(got, data) || after.Len() != 3 {
			t.Errorf("%s: what was there changed, or there are %d sections instead of 3", name, after.Len())
		}
		again, err := after.Remove(2)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := strings.TrimRight(string(again.Bytes()), "\r\n"), strings.TrimRight(data, "\r\n"); got != want {
			t.Errorf("%s: appended and removed, got\n%q\nwant\n%q", name, got, want)
		}
	}
}

func TestAppendOfADockerRunner(t *testing.T) {
	t.Parallel()
	s := added
	s.Executor, s.Image, s.TLSCAFile, s.ExpiresAt = "docker", "alpine:3", "/etc/ca.crt", expires
	d, err := parse(t, "").Append(s)
	if err != nil {
		t.Fatal(err)
	}
	got := string(d.Bytes())
	for _, want := range []string{
		"  token_expires_at = 2026-02-03T04:05:06Z\n  tls-ca-file = \"/etc/ca.crt\"\n  executor = \"docker\"\n",
		"  [runners.docker]\n    tls_verify = false\n    image = \"alpine:3\"\n    privileged = false\n",
		"    volumes = [\"/cache\"]\n    shm_size = 0\n    network_mtu = 0\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant in it\n%s", got, want)
		}
	}
}

func TestRemoveTakesOnlyTheSection(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, before, after string
		index               int
	}{
		{"with its comments and tables",
			"concurrent = 1\n\n# first\n[[runners]]\n  id = 1\n  [runners.docker]\n    image = \"x\" # y\n  # limit = 3\n\n# second\n[[runners]]\n  id = 2\n",
			"concurrent = 1\n\n# second\n[[runners]]\n  id = 2\n", 0},
		{"the last one",
			"# first\r\n[[runners]]\r\n  id = 1\r\n\r\n# second\r\n[[runners]]\r\n  id = 2",
			"# first\r\n[[runners]]\r\n  id = 1\r\n\r\n", 1},
		{"a comment set apart stays",
			"[[runners]]\n  id = 1\n\n# about everything below\n\n[[runners]]\n  id = 2\n",
			"# about everything below\n\n[[runners]]\n  id = 2\n", 0},
		{"tables apart",
			"[[runners]]\n  id = 1\n[session_server]\n  session_timeout = 1\n[runners.docker]\n  image = \"x\"\n[[runners]]\n  id = 2\n",
			"[session_server]\n  session_timeout = 1\n[[runners]]\n  id = 2\n", 0},
		{"behind a byte order mark",
			"\ufeff# first\n[[runners]]\n  id = 1\n[[runners]]\n  id = 2\n",
			"\ufeff[[runners]]\n  id = 2\n", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, err := parse(t, test.before).Remove(test.index)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.Bytes()); got != test.after {
				t.Errorf("got  %q\nwant %q", got, test.after)
			}
		})
	}
	_, err := parse(t, "").Remove(0)
	if rekey.KindOf(err) != rekey.KindNotFound {
		t.Errorf("got error %v, want kind %q", err, rekey.KindNotFound)
	}
}
