package lab_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

const (
	refusedToken = `{"message":"403 Forbidden - invalid token supplied"}`
	gone         = `{"message":"410 Gone - runner registration disallowed"}`
	forbidden    = `{"message":"403 Forbidden"}`
)

// TestLegacyRegistrationAnswers is the table of POST /runners.
func TestLegacyRegistrationAnswers(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11", Profile: "self-managed"})
	instance := l.Info.RegistrationTokens["instance"]
	tags := func(n int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("tag%d", i)
		}
		return all
	}
	for _, c := range []struct {
		name   string
		body   labtest.M
		status int
		want   string
	}{
		{"no token", labtest.M{}, 400, `{"error":"token is missing"}`},
		{"empty token", labtest.M{"token": ""}, 403, refusedToken},
		{"null token", labtest.M{"token": nil}, 403, refusedToken},
		{"unknown token", labtest.M{"token": "GR1348941CANARYnotissued00"}, 403, refusedToken},
		{"no tags and not untagged", labtest.M{"token": instance, "run_untagged": false}, 400,
			`{"message":{"tags_list":["can not be empty when runner is not allowed to pick untagged jobs"]}}`},
		{"too many tags", labtest.M{"token": instance, "tag_list": tags(51)}, 400,
			`{"message":{"tags_list":["Too many tags specified. Please limit the number of tags to 50"]}}`},
		{"short timeout", labtest.M{"token": instance, "maximum_timeout": 599}, 400, `{"message":{"maximum_timeout":["needs to be at least 10 minutes"]}}`},
		{"bad access level", labtest.M{"token": instance, "access_level": "x"}, 400, `{"error":"access_level does not have a valid value"}`},
		{"bad boolean", labtest.M{"token": instance, "locked": "perhaps"}, 400, `{"error":"locked is invalid"}`},
		{"active and paused", labtest.M{"token": instance, "active": true, "paused": false}, 400, ""},
		{"blank timeout is dropped", labtest.M{"token": instance, "maximum_timeout": ""}, 201, ""},
		{"fifty tags", labtest.M{"token": instance, "tag_list": tags(50), "unknown": "x"}, 201, ""},
	} {
		got := l.Call("POST", "runners", "", c.body)
		if got.Status != c.status || c.want != "" && got.Body != c.want {
			t.Errorf("%s: got %d %s, want %d %s", c.name, got.Status, got.Body, c.status, c.want)
		}
	}
}

// TestRegistrationSwitches: who turned what off decides between 403 and 410.
func TestRegistrationSwitches(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11", Profile: "self-managed"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	token := func(path string) string {
		t.Helper()
		var shown struct {
			RunnersToken string `json:"runners_token"`
		}
		l.Must(200, "GET", path, nil, &shown)
		return shown.RunnersToken
	}
	groupToken, projectToken := token(fmt.Sprintf("groups/%d", group)), token(fmt.Sprintf("projects/%d", project))
	register := func(name, token string, status int, want string) {
		t.Helper()
		got := l.Call("POST", "runners", "", labtest.M{"token": token})
		if got.Status != status || want != "" && got.Body != want {
			t.Errorf("%s: got %d %s, want %d %s", name, got.Status, got.Body, status, want)
		}
	}
	register("group", groupToken, 201, "")
	register("project", projectToken, 201, "")
	l.Setting(labtest.M{"valid_runner_registrars": []string{"group"}})
	register("project without registrar", projectToken, 403, refusedToken)
	register("group with registrar", groupToken, 201, "")
	l.Setting(labtest.M{"valid_runner_registrars": []string{}, "allow_runner_registration_token": false})
	register("project, switch off", projectToken, 410, gone)
	register("garbage, switch off", "CANARYgarbage", 410, gone)
	register("empty, switch off", "", 403, refusedToken)
	if got := token(fmt.Sprintf("groups/%d", group)); got != "" {
		t.Error("runners_token is shown while registration tokens are off")
	}
	if a := l.Call("POST", "runners/reset_registration_token", l.Admin, nil); a.Status != 403 || a.Body != forbidden {
		t.Errorf("reset while off: got %d %s, want 403 %s", a.Status, a.Body, forbidden)
	}
	l.Setting(labtest.M{"valid_runner_registrars": []string{"project", "group"}, "allow_runner_registration_token": true})
	register("project taken from the registrars meanwhile", projectToken, 403, refusedToken)
	projectToken = token(fmt.Sprintf("projects/%d", project))
	l.Setting(labtest.M{"allow_runner_registration_token": false})
	l.Setting(labtest.M{"allow_runner_registration_token": true})
	if token(fmt.Sprintf("projects/%d", project)) != projectToken {
		t.Error("the project's registration token changed while it was switched off")
	}
	l.Must(201, "POST", fmt.Sprintf("projects/%d/runners/reset_registration_token", project), nil, nil)
	register("replaced", projectToken, 403, refusedToken)
	register("new", token(fmt.Sprintf("projects/%d", project)), 201, "")
}

// TestProfiles: GitLab.com turned registration tokens off at 17.0, self-managed
// servers did not, and an upgrade keeps what was set.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, profile string
		status           int
		wantProfile      string
	}{
		{"15.11", "", 201, "self-managed"},
		{"16.11", "gitlab.com", 201, "gitlab.com"},
		{"17.0", "", 410, "gitlab.com"},
		{"17.11", "self-managed", 201, "self-managed"},
		{"19.3", "gitlab.com", 410, "gitlab.com"},
	} {
		l := labtest.Start(t, labtest.Options{Version: c.version, Profile: c.profile})
		got := l.Call("POST", "runners", "", labtest.M{"token": l.Info.RegistrationTokens["instance"]})
		if got.Status != c.status || l.Info.Profile != c.wantProfile {
			t.Errorf("%s %q: got %d, profile %s, want %d, %s", c.version, c.profile, got.Status, l.Info.Profile, c.status, c.wantProfile)
		}
		if refused := strings.Contains(l.StartLine(), "refused"); refused != (c.status == 410) || !strings.Contains(l.StartLine(), "NOT GitLab") {
			t.Errorf("%s: start line %q", c.version, l.StartLine())
		}
	}
}

// TestUpgradeInPlace: tokens of the old shape stay, new ones take the new shape,
// and what was allowed stays allowed.
func TestUpgradeInPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := labtest.Start(t, labtest.Options{Version: "15.11", Dir: dir})
	legacy, user := old.Register(nil), old.Runner("instance", 0, nil)
	old.Stop()
	l := labtest.Start(t, labtest.Options{Version: "19.3", Dir: dir})
	if l.Admin != old.Admin || l.Info.Version != "19.3.0" || l.Info.Profile != "self-managed" {
		t.Errorf("reopened: version %s profile %s, same admin token %t", l.Info.Version, l.Info.Profile, l.Admin == old.Admin)
	}
	for _, token := range []string{legacy.Token, user.Token} {
		if a := l.Call("POST", "runners/verify", "", labtest.M{"token": token, "system_id": "s_CANARY000000"}); a.Status != 200 {
			t.Errorf("token of 15.11 after the upgrade: got %d %s", a.Status, a.Body)
		}
	}
	l.Register(nil)
	var reset labtest.Issued
	l.MustAs("", 201, "POST", "runners/reset_authentication_token", labtest.M{"token": legacy.Token}, &reset)
	if !strings.HasPrefix(reset.Token, "glrtr-") {
		t.Errorf("reset of a legacy runner at 19.3: got %.6s…, want glrtr-", reset.Token)
	}
}
