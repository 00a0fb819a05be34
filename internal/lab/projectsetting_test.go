package lab_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

// TestSwitchesOfGroupsAndProjects: what an owner or administrator closes is closed
// in both flows, and a registration token that was closed out is a new one.
func TestSwitchesOfGroupsAndProjects(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Profile: "self-managed"})
	group := l.Group("team", 0)
	below := l.Group("below", group)
	project, _ := l.Project("app", below)
	owner := l.User("owner")
	l.Member("groups", group, owner, 50)
	key := l.PAT(owner, "api")
	groupPath, projectPath := fmt.Sprintf("groups/%d", below), fmt.Sprintf("projects/%d", project)
	token := func(path string) string {
		t.Helper()
		var shown struct {
			Token string `json:"runners_token"`
		}
		l.Must(200, "GET", path, nil, &shown)
		return shown.Token
	}
	ofGroup, ofProject := token(groupPath), token(projectPath)
	inGroup, inProject := labtest.M{"runner_type": "group_type", "group_id": below}, labtest.M{"runner_type": "project_type", "project_id": project}
	const insufficient, unknown = `{"message":"403 Forbidden - Insufficient permissions"}`, `{"message":"403 Forbidden - invalid token supplied"}`
	walk(t, l, []step{
		{"open group", "POST", "user/runners", key, inGroup, 201, ""},
		{"open project", "POST", "user/runners", key, inProject, 201, ""},
		{"registered", "POST", "runners", key, labtest.M{"token": ofGroup}, 201, ""},
		{"close above", "PUT", fmt.Sprintf("groups/%d", group), "", labtest.M{"runner_registration_enabled": false}, 200, ""},
		{"group below", "POST", "user/runners", key, inGroup, 403, insufficient},
		{"project below", "POST", "user/runners", key, inProject, 403, insufficient},
		{"administrator", "POST", "user/runners", "", inGroup, 201, ""},
		{"registered below", "POST", "runners", key, labtest.M{"token": ofGroup}, 403, unknown},
		{"open again", "PUT", fmt.Sprintf("groups/%d", group), "", labtest.M{"runner_registration_enabled": true}, 200, ""},
		{"the same token", "POST", "runners", key, labtest.M{"token": ofGroup}, 201, ""},
		{"close the project", "PUT", projectPath, "", labtest.M{"runner_registration_enabled": false}, 200, ""},
		{"closed project", "POST", "user/runners", key, inProject, 403, insufficient},
		{"open the project", "PUT", projectPath, "", labtest.M{"runner_registration_enabled": true}, 200, ""},
		{"its old token", "POST", "runners", key, labtest.M{"token": ofProject}, 403, unknown},
		{"the root group disallows", "PUT", fmt.Sprintf("groups/%d", group), "", labtest.M{"lab_allow_runner_registration_token": false}, 200, ""},
		{"disallowed", "POST", "runners", key, labtest.M{"token": ofGroup}, 410, `{"message":"410 Gone - runner registration disallowed"}`},
		{"archive", "POST", projectPath + "/archive", "", nil, 201, ""},
		{"archived", "POST", "user/runners", "", inProject, 403, insufficient},
		{"no pipeline", "POST", projectPath + "/pipeline", "", labtest.M{"ref": "main"}, 403, forbidden},
		{"unarchive", "POST", projectPath + "/unarchive", "", nil, 201, ""},
		{"no instance runners", "PUT", fmt.Sprintf("groups/%d", group), "", labtest.M{"shared_runners_setting": "disabled_and_unoverridable"}, 200, ""},
	})
	if shown := l.Call("GET", projectPath, l.Admin, nil); !strings.Contains(shown.Body, `"shared_runners_enabled":false`) {
		t.Errorf("project below: got %s, want no instance runners", shown.Body)
	}
	l.Setting(labtest.M{"instance_token_prefix": "corp"})
	if r := l.Runner("instance", 0, nil); !strings.HasPrefix(r.Token, "corp-glrt-") {
		t.Errorf("instance prefix: got another shape than corp-glrt-")
	}
	l.Must(201, "POST", "features/custom_prefix_for_all_token_types", labtest.M{"value": false}, nil)
	if r := l.Runner("instance", 0, nil); !strings.HasPrefix(r.Token, "glrt-") {
		t.Errorf("flag off: got another shape than glrt-")
	}
}
