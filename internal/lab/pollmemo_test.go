package lab_test

import (
	"fmt"
	"testing"

	"rekey/internal/lab/labtest"
)

// TestARepeatedPollIsDecidedAnew: a body that is recognised without being decoded
// is answered by what is true now.
func TestARepeatedPollIsDecidedAnew(t *testing.T) {
	t.Parallel()
	const script = "job:\n  tags: [CANARY]\n  script: [\"true\"]\n"
	for _, c := range []struct {
		name string
		then func(l *labtest.Lab, r labtest.Issued, project int64)
		want int
	}{
		{"nothing happens", func(*labtest.Lab, labtest.Issued, int64) {}, 204},
		{"a job comes", func(l *labtest.Lab, _ labtest.Issued, project int64) { l.Pipeline(project, nil) }, 201},
		{"the token is reset", func(l *labtest.Lab, r labtest.Issued, _ int64) {
			l.Must(201, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", r.ID), nil, nil)
		}, 403},
		{"the record is deleted", func(l *labtest.Lab, r labtest.Issued, _ int64) {
			l.Must(204, "DELETE", fmt.Sprintf("runners/%d", r.ID), nil, nil)
		}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := labtest.Start(t, labtest.Options{})
			project, _ := l.Project("web", 0)
			l.CIConfig(project, script)
			r := l.Runner("instance", 0, labtest.M{"tag_list": []string{"CANARY"}})
			poll := labtest.M{"token": r.Token, "system_id": "s_CANARY"}
			poll["last_update"] = l.Call("POST", "jobs/request", "", poll).Header.Get("X-GitLab-Last-Update")
			for range 3 {
				if got := l.Call("POST", "jobs/request", "", poll); got.Status != 204 {
					t.Fatalf("an idle poll: got %d %s, want 204", got.Status, got.Body)
				}
			}
			c.then(l, r, project)
			if got := l.Call("POST", "jobs/request", "", poll); got.Status != c.want {
				t.Errorf("the same poll: got %d %s, want %d", got.Status, got.Body, c.want)
			}
		})
	}
}
