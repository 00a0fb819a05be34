package explain_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"rekey/internal/explain"
)

func TestNoTokenIsShown(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`ERROR: Runner "https://gitlab.example.com/AbCdEfGhIjCANARY1234" is unhealthy and will be disabled for 1h0m0s seconds!`,
		`ERROR: Runner "https://gitlab.example.comAbCdEfGhIjCANARY1234" is unhealthy and will be disabled for 1h0m0s seconds!`,
		`ERROR: Runner https://gitlab.example.com/sub/AbCdEfGhIjCANARY1234 is not healthy and will be disabled!`,
		`ERROR: Runner "https://gitlab.example.comglrt-CANARYbbbbbbbbbbbbbb" is unhealthy and will be disabled for 1h0m0s seconds!`,
		`ERROR: Runner "https://gitlab.example.com/glrt-t1_CANARYbbbbbbbbbbbbbb.01.1k0abcdef" is unhealthy and will be disabled for 1h`,
		`{"level":"error","msg":"Runner \"http://127.0.0.1:18077/j403/AbCdEfGhIjCANARY1234\" is unhealthy and will be disabled for 1h0m0s seconds!"}`,
		`ERROR: Runner gitlab.example.comAbCdEfGhIjCANARY1234 is not healthy and will be disabled!`,
		`ERROR: new line of tomorrow  Executor=shell Token=CANARY-short URL=https://gitlab.example.com`,
		`ERROR: new line AbCdEfGhIjCANARY1234 glpat-CANARYllllllllllllll GR1348941CANARYaaaaaaaaaaaaaa`,
		`ERROR: new line https://gitlab-ci-token:CANARYsecret@gitlab.example.com/g/p.git?private_token=CANARYsecret`,
		`ERROR: new line gitlab-runner register --token CANARYsecret --registration-token=CANARYsecret -H "PRIVATE-TOKEN: CANARYsecret"`,
		`ERROR: Checking for jobs... forbidden runner=glrt-CANARYbbbbbbbbbbbbbb status=POST https://u:CANARY@g.example.com/api/v4/jobs/request?token=CANARY: 403 Forbidden`,
		`ERROR: Checking for jobs... forbidden runner=AbCdEfGh correlation_id=glrt-CANARYbbbbbbbbbbbbbb runner_name=glrt-CANARYbbbbbbbbbbbbbb url=https://u:CANARY@g.example.com/?token=CANARY`,
	} {
		sum, _ := read(t, line)
		if shown := fmt.Sprintf("%+v", sum); strings.Contains(shown, "CANARY") {
			t.Errorf("%s\nshown as %s", line, shown)
		}
		if e, ok := explain.New().Explain(line); ok && strings.Contains(fmt.Sprintf("%+v", e), "CANARY") {
			t.Errorf("%s\nexplained as %+v", line, e)
		}
	}
}

// FuzzRead holds that any bytes are read, in bounded memory, and nothing is shown
// that could move a terminal's cursor.
func FuzzRead(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.line)
	}
	f.Add("\x1b]0;title\x07\xff\x00[[[{{{\"msg\":\"\x1b[2J\"")
	f.Add(`{"log":"{\"log\":\"{\\\"log\\\":\\\"x\\\"}\"}"}`)
	f.Add(`time="x msg="y level= =`)
	c := explain.New()
	f.Fuzz(func(t *testing.T, text string) {
		sum, err := c.Read(t.Context(), strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range sum.Explanations {
			for _, shown := range []string{e.Line, e.Fields.Status, e.Fields.Runner, e.Fields.URL, e.First.Time} {
				if bad := strings.IndexFunc(shown, unicode.IsControl); bad >= 0 || !utf8.ValidString(shown) || len(shown) > 1100 {
					t.Errorf("%q shows %q", text, shown)
				}
			}
		}
		for _, s := range sum.Samples {
			if strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("%q shows %q", text, s)
			}
		}
	})
}
