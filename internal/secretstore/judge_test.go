package secretstore_test

import (
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const token = "glrt-CANARYaaaaaaaaaaaaaa"
	for _, c := range []struct {
		value, problem string
		fit, mended    bool
	}{
		{token, "", true, false},
		{token + "\n", "newline", false, true},
		{` "` + token + `" `, "quotation marks", false, true},
		{`{"token":"` + token + `"}`, "JSON object", false, false},
		{"-----BEGIN RSA PRIVATE KEY-----\nCANARY\n", "PEM block", false, false},
		{"GR1348941CANARYaaaaaaaaaaaaaa", "registration token", false, false},
		{"${RUNNER_TOKEN}", "refers to a variable", false, false},
		{"", "empty", false, false},
		{"glrt-xxxxxxxxxxxxxxxxxxxx", "placeholder", true, false},
	} {
		j := secretstore.Judge(rekey.NewToken(c.value))
		if j.Fit != c.fit || j.Mended != c.mended || !strings.Contains(j.Problem, c.problem) || c.problem == "" && j.Problem != "" {
			t.Errorf("%q: got %+v, want fit %v, mended %v, problem %q", c.value, j, c.fit, c.mended, c.problem)
		}
		if c.mended && j.Cleaned.Reveal() != token {
			t.Errorf("%q: cleaned to %v", c.value, j.Cleaned)
		}
		if strings.Contains(j.Problem, "CANARY") {
			t.Errorf("%q: the problem quotes the value: %s", c.value, j.Problem)
		}
	}
}

func TestMetadataSurvivesItsText(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	want := secretstore.Metadata{RunnerID: 42, Owner: `team "ci" <ci@example.com>`, RotatedAt: at.UTC(), NextDue: at.UTC().Add(time.Hour)}
	given := want
	given.RotatedAt = at
	if got := secretstore.ParseMetadata(given.Text()); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, text := range []string{"", "written by a person", "{", `{"owner":5}`, "[]"} {
		if got := secretstore.ParseMetadata(text); !got.IsZero() {
			t.Errorf("ParseMetadata(%q) = %+v, want nothing", text, got)
		}
	}
	if text := (secretstore.Metadata{}).Text(); text != "" {
		t.Errorf("nothing known: %q, want no text", text)
	}
}

// What is not known of a new token is not taken from the one before, but for whose it is.
func TestMetadataOfANewTokenKeepsItsOwnerAndNoDueDate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old := secretstore.Metadata{RunnerID: 42, Owner: "team-ci", RotatedAt: at, NextDue: at.AddDate(0, 3, 0)}
	next := at.AddDate(0, 3, 1)
	want := secretstore.Metadata{RunnerID: 42, Owner: "team-ci", RotatedAt: next}
	if got := (secretstore.Metadata{RotatedAt: next}).Over(old); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (secretstore.Metadata{}).Over(old); got != old {
		t.Errorf("nothing new known: got %+v, want %+v", got, old)
	}
}
