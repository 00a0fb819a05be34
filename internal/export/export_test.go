package export_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/export"
)

// report is one of everything: healthy, refused, unknown, a broken config, and
// names that every format has to escape.
func report() diagnose.Report {
	token := rekey.NewToken("glrt-CANARYCANARYCANARY00")
	finding := func(c rekey.Cause, s rekey.Severity) rekey.Finding {
		return rekey.Finding{Cause: c, Severity: s, Confidence: rekey.Certain, Evidence: []rekey.Evidence{{Seen: `GitLab said <403> & "no"`}}, Remedy: "Run `rekey fix`."}
	}
	return diagnose.Report{
		Configs: []diagnose.ConfigReport{{Path: "a.toml", Sections: 3}, {Path: "b.toml", Error: "b.toml:7: a quote is missing"}},
		Sections: []diagnose.SectionReport{
			{Config: "a.toml", Index: 0, Line: 4, Name: "well", URL: "https://g.example", Token: token, Verdict: rekey.Valid, Findings: []rekey.Finding{finding(rekey.OnlineButIdle, rekey.Warning)}},
			{Config: "a.toml", Index: 1, Line: 9, Name: "a\\b \"c\"\nd", URL: "https://g.example", Token: token, Verdict: rekey.Invalid, Findings: []rekey.Finding{finding(rekey.RecordDeleted, rekey.Failing)}},
			{Config: "a.toml", Index: 2, Name: "", URL: "", Token: token, Verdict: rekey.Unknown, Findings: []rekey.Finding{finding(rekey.Unreachable, rekey.Failing)}},
		},
		Summary: diagnose.Summary{Valid: 1, Invalid: 1, Unknown: 1},
	}
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := export.SARIF(&out, export.Document{Report: report(), Version: "1.2.3"}); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Invocations []struct {
				Successful    bool                     `json:"executionSuccessful"`
				Notifications []struct{ Level string } `json:"toolExecutionNotifications"`
			}
			Results []struct {
				RuleID, Level string
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           *struct{ StartLine int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	rules := map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		rules[r.ID] = true
	}
	want := []struct {
		rule, level string
		line        int
	}{{"online-but-idle", "warning", 4}, {"record-deleted", "error", 9}, {"unreachable", "error", 0}}
	if log.Version != "2.1.0" || len(run.Results) != len(want) {
		t.Fatalf("got version %q and %d results, want 2.1.0 and %d", log.Version, len(run.Results), len(want))
	}
	for i, w := range want {
		got, line := run.Results[i], 0
		if r := got.Locations[0].PhysicalLocation.Region; r != nil {
			line = r.StartLine
		}
		if got.RuleID != w.rule || got.Level != w.level || line != w.line || !rules[got.RuleID] {
			t.Errorf("result %d: got %s %s at line %d (rule known: %v), want %+v", i, got.RuleID, got.Level, line, rules[got.RuleID], w)
		}
	}
	if run.Invocations[0].Successful || len(run.Invocations[0].Notifications) != 1 {
		t.Errorf("got %+v, want the unreadable config as a notification of an unsuccessful run", run.Invocations[0])
	}
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := export.JUnit(&out, export.Document{Report: report()}); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Type string `xml:"type,attr"`
				} `xml:"failure"`
				Error  *struct{} `xml:"error"`
				Output string    `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out.Bytes(), &suites); err != nil {
		t.Fatalf("%v in\n%s", err, &out)
	}
	if suites.Tests != 4 || suites.Failures != 1 || suites.Errors != 2 {
		t.Errorf("got %d tests, %d failures, %d errors, want 4, 1, 2", suites.Tests, suites.Failures, suites.Errors)
	}
	cases := suites.Suites[0].Cases
	if cases[0].Failure != nil || cases[0].Error != nil || !strings.Contains(cases[0].Output, "online-but-idle") {
		t.Errorf("healthy case: got %+v, want a passing one with the warning as output", cases[0])
	}
	if cases[1].Failure == nil || cases[1].Failure.Type != "record-deleted" || cases[2].Error == nil {
		t.Errorf("got %+v and %+v, want a failure and an error", cases[1], cases[2])
	}
}

func TestPrometheus(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := export.Prometheus(&out, export.Document{Report: report(), Now: time.Unix(1700000000, 0)}); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\"n])*",?)*\})? [0-9]+)$`)
	for l := range strings.Lines(out.String()) {
		if l = strings.TrimSuffix(l, "\n"); !line.MatchString(l) {
			t.Errorf("%q is not a line of the text format", l)
		}
	}
	for _, want := range []string{
		`rekey_section_verdict{config="a.toml",index="1",name="a\\b \"c\"\nd",url="https://g.example",runner_id="0",verdict="invalid"} 1`,
		`rekey_config_readable{config="b.toml"} 0`, `rekey_sections{verdict="unknown"} 1`, "rekey_doctor_timestamp_seconds 1700000000",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("there is no line %q in\n%s", want, &out)
		}
	}
}

func TestNoTokenIsWritten(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := export.SARIF(&out, export.Document{Report: report()}); err != nil {
		t.Fatal(err)
	}
	if err := export.JUnit(&out, export.Document{Report: report()}); err != nil {
		t.Fatal(err)
	}
	if err := export.Prometheus(&out, export.Document{Report: report(), Now: time.Time{}}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "CANARY") {
		t.Errorf("a token is in the output:\n%s", &out)
	}
}
