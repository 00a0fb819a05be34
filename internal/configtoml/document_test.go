package configtoml

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey"
)

func TestParseReadsWhatGitLabRunnerWouldRead(t *testing.T) {
	t.Parallel()
	for name, data := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := parse(t, data)
			if d.Len() != 2 {
				t.Fatalf("got %d sections, want 2", d.Len())
			}
			first := d.Sections()[0]
			want := Section{Name: "one", URL: "https://gitlab.example.com/", ID: 11, Token: rekey.NewToken("glrt-CANARY1aaaaaaaaaaaaaa"), Executor: "shell"}
			if first.Name != want.Name || first.URL != want.URL || first.ID != want.ID || first.Token != want.Token || first.Executor != want.Executor {
				t.Errorf("got section %+v, want %+v", first, want)
			}
			if !first.ExpiresAt.IsZero() {
				t.Errorf("got expiry %v, want none", first.ExpiresAt)
			}
			line := bytes.Split([]byte(data), []byte("\n"))[first.TokenLine-1]
			if !bytes.Contains(bytes.ToLower(line), []byte("token")) && !strings.Contains(name, "multi-line") {
				t.Errorf("line %d is not the token's", first.TokenLine)
			}
			if !bytes.Equal(d.Bytes(), []byte(data)) {
				t.Errorf("Bytes differ from what was parsed")
			}
		})
	}
}

func TestParseOfAnEmptyFile(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "\ufeff", "# only a comment", "\r\n\r\n"} {
		d := parse(t, data)
		if d.Len() != 0 || d.Concurrent() != 1 || d.CheckInterval() != 0 {
			t.Errorf("%q: got %d sections, concurrent %d, check_interval %d; want 0, 1, 0", data, d.Len(), d.Concurrent(), d.CheckInterval())
		}
	}
}

func TestSyntaxErrorsSayWhereAndNeverQuote(t *testing.T) {
	t.Parallel()
	header := "[[runners]]\n  name = \"a\"\n"
	for _, test := range []struct {
		name, data   string
		line, column int
		reason       string
	}{
		{"unquoted", header + "  token = glrt-CANARY\n", 3, 11, "expected a value"},
		{"doubled quotes", header + "  token = \"\"glrt-CANARY\"\"\n", 3, 13, "expected nothing more on this line"},
		{"smart quotes", header + "  token = “glrt-CANARY”\n", 3, 11, "expected a value"},
		{"no closing quote", header + "  token = \"glrt-CANARY\n  id = 1\n", 3, 23, "closing quote"},
		{"cut short", header + "  token = \"glrt-CANARY", 3, 22, "closing quote"},
		{"no equals sign", header + "  token \"glrt-CANARY\"\n", 3, 9, "expected '='"},
		{"backslash", header + "  token = \"glrt-\\CANARY\"\n", 3, 17, "escape"},
		{"duplicate", header + "  token = \"CANARY\"\n  token = \"CANARY\"\n", 4, 3, "once"},
		{"duplicate in another case", header + "  token = \"CANARY\"\n  Token = \"CANARY\"\n", 1, 1, "once"},
		{"number as token", header + "  token = 12\n[[runners]]\n  token = \"CANARY\"\n", 3, 11, "expected text in quotes as the value of token"},
		{"quoted id", header + "  id = \"CANARY\"\n", 3, 8, "expected a whole number"},
		{"bad date", header + "  token_expires_at = \"CANARY\"\n", 3, 22, "expected a date"},
		{"other wrong type", header + "  unhealthy_requests_limit = \"CANARY\"\n", 3, 1, "expected a whole number"},
		{"wrong type in one of two sections", header + "  limit = 1\n  [runners.docker]\n    privileged = \"CANARY\"\n[[runners]]\n  [runners.docker]\n    privileged = true\n", 5, 1, "expected true or false"},
		{"a table for a key", header + "[runners.token]\n", 3, 2, "text in quotes as the value of token"},
		{"a dotted key below a key", header + "token.CANARY = 1\n", 3, 16, "text in quotes as the value of token"},
		{"a key for a table", header + "  docker = \"CANARY\"\n", 3, 1, "expected a table"},
		{"single brackets", "[runners]\n  token = \"CANARY\"\n", 1, 2, "[[runners]]"},
		{"sub-table first", "[runners.docker]\n  image = \"CANARY\"\n", 1, 2, "[[runners]]"},
		{"unclosed header", "[[runners]\n  token = \"CANARY\"\n", 1, 10, "expected ']]'"},
		{"NUL tail", header + "\x00\x00\x00", 3, 1, "NUL"},
		{"UTF-16", "\xff\xfe[\x00[\x00", 1, 1, "UTF-16"},
		{"latin-1", header + "  # B\xfcro CANARY\n", 3, 6, "UTF-8"},
		{"binary", "\x7fELF\x02\x01\x01", 1, 1, "expected"},
		{"list of numbers", "runners = [1, 2]\n", 1, 1, "[[runners]]"},
		{"spellings of runners", "[[runners]]\n[[Runners]]\n", 1, 1, "one spelling"},
		{"two BOMs", "\ufeff\ufeff[[runners]]\n", 1, 1, "expected"},
		{"after a BOM", "\ufefftoken = CANARY\n", 1, 9, "expected a value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(test.data))
			var e *SyntaxError
			if !errors.As(err, &e) {
				t.Fatalf("got error %v, want a *SyntaxError", err)
			}
			if e.Line != test.line || e.Column != test.column || !strings.Contains(e.Reason, test.reason) {
				t.Errorf("got %v, want line %d, column %d, … %s …", e, test.line, test.column, test.reason)
			}
			if strings.Contains(err.Error(), "CANARY") {
				t.Errorf("the error quotes the file: %v", err)
			}
			if rekey.KindOf(err) != rekey.KindInvalid {
				t.Errorf("got kind %q, want %q", rekey.KindOf(err), rekey.KindInvalid)
			}
		})
	}
}

func TestParseReadsDatesFlagsAndTLS(t *testing.T) {
	t.Parallel()
	d := parse(t, `
concurrent = 4
check_interval = 7
[[runners]]
  token = "${CANARY_TOKEN}"
  token_obtained_at = 2024-05-06T07:08:09Z
  token_expires_at = "2024-06-07T08:09:10+02:00"
  tls-ca-file = "/etc/ca.pem"
  [runners.feature_flags]
    FF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true
`)
	s := d.Sections()[0]
	if d.Concurrent() != 4 || d.CheckInterval() != 7 {
		t.Errorf("got concurrent %d and check_interval %d, want 4 and 7", d.Concurrent(), d.CheckInterval())
	}
	if want := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC); !s.ObtainedAt.Equal(want) {
		t.Errorf("got obtained %v, want %v", s.ObtainedAt, want)
	}
	if want := time.Date(2024, 6, 7, 6, 9, 10, 0, time.UTC); !s.ExpiresAt.Equal(want) {
		t.Errorf("got expires %v, want %v", s.ExpiresAt, want)
	}
	if s.Token.Reveal() != "${CANARY_TOKEN}" || s.TLSCAFile != "/etc/ca.pem" || !s.FeatureFlags["FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"] {
		t.Errorf("got section %+v", s)
	}
	if s.Line != 4 || s.TokenLine != 5 {
		t.Errorf("got lines %d and %d, want 4 and 5", s.Line, s.TokenLine)
	}
}

func TestNothingPrintsAToken(t *testing.T) {
	t.Parallel()
	d := parse(t, shapes()["plain"])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{d, d.Sections(), d.Sections()[0], added, Change{Token: &newToken}} {
			if got := fmt.Sprintf(verb, value); strings.Contains(got, "CANARY") || strings.Contains(got, "43414e415259") {
				t.Errorf("%s of %T shows a token: %s", verb, value, got)
			}
		}
	}
}

func parse(t testing.TB, data string) *Document {
	t.Helper()
	d, err := Parse([]byte(data))
	if err != nil {
		t.Fatalf("got error %v for a config that gitlab-runner loads", err)
	}
	return d
}
