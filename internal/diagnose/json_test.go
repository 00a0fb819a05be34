package diagnose

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey"
)

const (
	exampleBegin = "<!-- example: begin -->\n```json\n"
	exampleEnd   = "```\n<!-- example: end -->"
)

// TestJSONContractIsCurrent holds the example of docs/json.md to what Judge gives.
func TestJSONContractIsCurrent(t *testing.T) {
	t.Parallel()
	example := marshal(t, Judge(exampleFacts()))
	golden(t, "testdata/report.json", example)
	path := root + "docs/json.md"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), exampleBegin)
	_, after, ok2 := strings.Cut(rest, exampleEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no example between its markers", path)
	}
	golden(t, path, before+exampleBegin+example+exampleEnd+after)
}

// TestJSONContractNamesEveryField keeps a new field from being undocumented.
func TestJSONContractNamesEveryField(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(root + "docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		"schema", "gitlab", "configs", "sections", "summary", "url", "version", "profile_evidence", "user_token",
		"user_token_detail", "path", "error", "config", "index", "name", "runner_id", "token", "kind", "fingerprint",
		"verdict", "findings", "untold", "cause", "severity", "confidence", "evidence", "seen", "where", "at",
		"remedy", "docs", "because", "valid", "invalid", "unknown",
	} {
		if !strings.Contains(string(raw), "`"+field+"`") {
			t.Errorf("docs/json.md does not name field `%s`", field)
		}
	}
}

func marshal(t *testing.T, r Report) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// exampleFacts are a host with a healthy section, one whose runner was deleted,
// one with a registration token, and a config that does not parse.
func exampleFacts() Facts {
	now := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	const path, base = "/etc/gitlab-runner/config.toml", "https://gitlab.example.com"
	allowed := false
	verify := rekey.Answer{Kind: rekey.AnswerAccepted, Request: "POST " + base + "/api/v4/runners/verify", Status: 200, At: now, ServerTime: now, RunnerID: 7}
	refused := verify
	refused.Kind, refused.Status, refused.Message, refused.RunnerID = rekey.AnswerRefused, 403, "403 Forbidden", 0
	record := func(id rekey.RunnerID, lookup Lookup) Record {
		return Record{Lookup: lookup, Request: "GET " + base + "/api/v4/runners/" + strconv.FormatInt(int64(id), 10), At: now,
			Runner: rekey.Runner{ID: id, Scope: rekey.ScopeProject, Status: "online", RunUntagged: true, Paused: true, Version: "17.11.0", Projects: []rekey.Ref{{ID: 3, Path: "acme/web"}}}}
	}
	section := func(index, line int, name, token string, id rekey.RunnerID) Section {
		return Section{Config: path, Index: index, Line: line, Name: name, URL: base + "/", RunnerID: id,
			Token: rekey.NewToken(token), SystemID: "s_abcdefabcdef", Record: Record{Lookup: LookupNone}}
	}
	healthy := section(0, 9, "build", "glrt-t3_CANARYaaaaaaaaaaaaaa", 7)
	healthy.Answer, healthy.Record = verify, record(7, LookupFound)
	deleted := section(1, 21, "deploy", "glrt-t3_CANARYbbbbbbbbbbbbbb", 8)
	deleted.Answer, deleted.Record = refused, record(8, LookupGone)
	legacy := section(2, 33, "old", "GR1348941CANARYcccccccccccccc", 0)
	legacy.Answer = rekey.Answer{Kind: rekey.AnswerNotAsked, Message: "the token cannot be a runner's"}
	return Facts{Now: now,
		Servers: []Server{{URL: base, Version: rekey.Version{Major: 17, Minor: 11}, VersionText: "17.11.0-ee",
			ProfileEvidence: "GET /api/v4/version", UserToken: UserTokenAccepted, ServerTime: now, ReadAt: now,
			RegistrationAllowed:  &allowed,
			RegistrationEvidence: rekey.Evidence{Seen: "the setting allow_runner_registration_token is off", Where: "GET " + base + "/api/v4/application/settings", At: now}}},
		Configs: []Config{
			{Path: path, Sections: []Section{healthy, deleted, legacy}},
			{Path: "/home/ci/config.toml", Err: "/home/ci/config.toml:4: expected value"},
		},
	}
}
