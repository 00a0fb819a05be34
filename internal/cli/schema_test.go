package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"rekey"
	"rekey/docs/schema"
	"rekey/internal/diagnose"
	"rekey/internal/fleet"
	"rekey/internal/upgrade"
)

// doctorSchema is the published schema, compiled once. Every document that a script
// looks into is held against it: see cmdJSON.
var doctorSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Doctor))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("doctor.schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("doctor.schema.json")
})

// fitsSchema holds a doctor's document against the schema.
func fitsSchema(text string) error {
	s, err := doctorSchema()
	if err != nil {
		return fmt.Errorf("the schema itself: %w", err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/json.md shows no document")
	}
	return string(block[1])
}

func TestTheExampleFitsTheSchema(t *testing.T) {
	t.Parallel()
	if err := fitsSchema(example(t)); err != nil {
		t.Error(err)
	}
}

// everything is a document in which each word that the program has stands once:
// causes, severities, kinds of token, levels of the version table.
func everything() any {
	at := time.Unix(1_750_000_000, 0).UTC()
	seconds := int64(-3)
	r := diagnose.Report{Schema: diagnose.Schema, Interrupted: true, Notes: []string{"a note"}, Configs: []diagnose.ConfigReport{{Path: "ssh://h/c.toml", Host: "ssh://h"}}}
	for _, u := range []diagnose.UserToken{diagnose.UserTokenNone, diagnose.UserTokenAccepted, diagnose.UserTokenLimited, diagnose.UserTokenRefused, diagnose.UserTokenUnknown} {
		r.GitLab = append(r.GitLab, diagnose.ServerReport{URL: "https://h", UserToken: u, UserTokenDetail: "scope", ClockSkew: &seconds})
	}
	tokens := []string{"", "a b", "${TOKEN}", "glrt-CANARYCANARYCANARY00", "glrtr-CANARYCANARYCANARY00", "GR1348941CANARYCANARYCANARY00", "glpat-CANARYCANARYCANARY00",
		"gldt-CANARYCANARYCANARY00", "glcbt-1_CANARYCANARYCANARY00", "glptt-CANARYCANARYCANARY00", "gloas-CANARYCANARYCANARY00", "CANARY"}
	for i, text := range tokens {
		r.Sections = append(r.Sections, diagnose.SectionReport{Config: "c.toml", Host: "ssh://h", Index: i, Line: 3, Token: rekey.NewToken(text),
			Verdict: []rekey.Verdict{rekey.Valid, rekey.Invalid, rekey.Unknown}[i%3], Findings: []rekey.Finding{}, Untold: "not told"})
	}
	for i, e := range diagnose.Registry() {
		f := rekey.Finding{Cause: e.Cause, Severity: []rekey.Severity{rekey.Info, rekey.Warning, rekey.Failing}[i%3], Confidence: []rekey.Confidence{rekey.Certain, rekey.Likely, rekey.Possible}[i%3],
			Evidence: []rekey.Evidence{{Seen: "seen", Where: "c.toml:3", At: at}, {Seen: "missing"}}, Remedy: e.Remedy, Docs: e.Docs()}
		f.Because = []rekey.Finding{f}
		r.Sections[0].Findings, r.Findings = append(r.Sections[0].Findings, f), append(r.Findings, f)
	}
	u := &upgrade.Report{Version: "20.0", Summary: upgrade.Summary{Effect: upgrade.Breaks}, Notes: []string{"a note"}}
	server := upgrade.Server{URL: "https://h", Effect: upgrade.Fine, Reasons: []upgrade.Reason{}}
	for _, row := range fleet.Changes() {
		server.Crossed = append(server.Crossed, upgrade.Crossing{Slug: row.ID, Level: row.Level, Text: row.Says, Since: "20.0", Source: row.Source})
	}
	u.GitLab = append(u.GitLab, server)
	for _, e := range []upgrade.Effect{upgrade.Breaks, upgrade.Unknown, upgrade.Deprecated, upgrade.Fine} {
		u.Sections = append(u.Sections, upgrade.Section{Config: "c.toml", Effect: e, Reasons: []upgrade.Reason{{Slug: "created-token", Effect: e, Text: "text", Source: "source"}}})
	}
	return struct {
		diagnose.Report
		ForGitLab *upgrade.Report `json:"for_gitlab,omitempty"`
	}{r, u}
}

func TestEveryWordFitsTheSchema(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(everything())
	if err != nil {
		t.Fatal(err)
	}
	if err := fitsSchema(string(text)); err != nil {
		t.Error(err)
	}
}

// TestTheSchemaRefuses plants what must not pass: any field renamed, and words that
// the contract does not have.
func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(everything())
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllStringSubmatch(text, -1) {
		names[m[1]] = true
	}
	if len(names) < 40 {
		t.Fatalf("only %d fields in the document, want all", len(names))
	}
	for name := range names {
		if err := fitsSchema(strings.Replace(text, `"`+name+`":`, `"`+name+`s":`, 1)); err == nil {
			t.Errorf("a document with %s renamed fits", name)
		}
	}
	for _, plant := range [][2]string{
		{`"schema":"rekey.doctor/1"`, `"schema":"rekey.doctor/2"`}, {`"verdict":"valid"`, `"verdict":"ok"`}, {`"severity":"error"`, `"severity":"fatal"`},
		{`"confidence":"certain"`, `"confidence":"sure"`}, {`"cause":"record-deleted"`, `"cause":"record-lost"`}, {`"user_token":"limited"`, `"user_token":"some"`},
		{`"kind":"runner"`, `"kind":"token"`}, {`"effect":"breaks"`, `"effect":"fails"`}, {`"index":0`, `"index":-1`}, {`"index":0`, `"index":"0"`},
		{`"at":"2025-`, `"at":"in 2025-`}, {`"interrupted":true`, `"interrupted":false`}, {`"findings":[]`, `"findings":null`}, {`"fingerprint":"`, `"fingerprint":"glrt-`},
		{`"level":"planned"`, `"level":"soon"`},
	} {
		if !strings.Contains(text, plant[0]) {
			t.Errorf("the document has no %s to plant in", plant[0])
		} else if err := fitsSchema(strings.Replace(text, plant[0], plant[1], 1)); err == nil {
			t.Errorf("a document with %s fits", plant[1])
		}
	}
}
