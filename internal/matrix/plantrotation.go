package matrix

import (
	"time"

	"rekey/internal/lab/labtest"
)

// rotationScenarios are tokens that expire and that nobody renews, or several.
var rotationScenarios = []Scenario{
	{
		Cause: "rotation-not-scheduled", Name: "the file does not know that the token expires",
		Plant: func(w *World) {
			s := w.Planted(w.soon())
			s.Expires = time.Time{}
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{
			{Until: "17.11", Verdict: "valid", Answer: "rotation-not-scheduled certain"},
			// From 18.7 on the probe does not tell the date; the setting does, to an administrator.
			{Who: WithToken, Verdict: "valid", Answer: "rotation-not-scheduled possible"},
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	},
	{
		Cause: "rotation-not-scheduled", Name: "the feature flag keeps gitlab-runner from rotating",
		Plant: func(w *World) {
			s := w.Planted(w.soon())
			s.More = "  [runners.feature_flags]\n    FF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true\n"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "rotation-not-scheduled likely"}},
	},
	{
		Cause: "rotation-not-scheduled", Name: "Ansible writes the file, and would put the old token back",
		Plant: func(w *World) {
			w.Head = "# Ansible managed\n"
			w.Config("host", thisHost, w.Planted(w.soon()))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "rotation-not-scheduled likely"}},
	},
	{
		Cause: "shared-token", Name: "one config rolled out to two hosts, and both looked at",
		Plant: func(w *World) {
			s := w.Planted(w.soon())
			w.Config("one", thisHost, s)
			w.Config("two", otherHost, named("planted too", s))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "shared-token certain + duplicate-token certain"}},
	},
	shared("two hosts of one image, both at work", true, "certain"),
	shared("a second host that was switched off", false, "possible"),
}

// soon is a runner whose token has two thirds of its life left.
func (w *World) soon() labtest.Issued { return w.lasting(3 * age) }

// lasting is a runner that was made an age ago with a token of the life given. The
// setting stays while the scenario lasts: a reset gives the same life.
func (w *World) lasting(life time.Duration) labtest.Issued {
	w.T.Helper()
	w.Setting(labtest.M{"runner_token_expiration_interval": int(life.Seconds())})
	w.Undo(func() { w.Setting(labtest.M{"runner_token_expiration_interval": nil}) })
	return w.Made("instance", 0, nil)
}

// shared is an expiring token that two hosts hold.
func shared(name string, online bool, confidence string) Scenario {
	return Scenario{
		Cause: "shared-token", Name: name,
		Plant: func(w *World) {
			r := w.soon()
			w.Poll(r.Token, thisHost, w.Version+".0")
			if online {
				w.Poll(r.Token, otherHost, w.Version+".0")
			} else {
				w.Ago(24*time.Hour, func() { w.Poll(r.Token, otherHost, w.Version+".0") })
			}
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: []Cell{
			{Who: WithToken, Since: "17.11", Verdict: "valid", Answer: "shared-token " + confidence},
			{Verdict: "valid", Answer: "unknown"}, // GitLab lists managers from 17.1 on
		},
	}
}
