package matrix

import (
	"time"

	"rekey/internal/lab/labtest"
)

// twoScenarios are two causes at once: neither hides the other.
var twoScenarios = []Scenario{
	{
		Cause: "registration-token-in-config + legacy-registration-disabled", Name: "the old flow to its end", Lexical: true,
		Plant: func(w *World) {
			w.registrationOff()
			w.Config("host", thisHost, Section{Name: "planted", Token: w.Info.RegistrationTokens["instance"]})
		},
		Cells: []Cell{
			{Until: "15.11", Answer: noSwitch},
			{Verdict: "invalid", Answer: "registration-token-in-config certain + legacy-registration-disabled certain"},
		},
	},
	{
		Cause: "record-deleted + duplicate-token", Name: "both sections lost their runner",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r), named("planted too", w.Planted(r)))
			w.Delete(r)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "record-deleted likely + duplicate-token certain"},
			{Who: Alone, Verdict: "invalid", Answer: "record-deleted possible | duplicate-token certain | rotated-elsewhere possible | server-restored possible | wrong-instance possible"},
		},
	},
	{
		Cause: "malformed-token + wrong-instance", Name: "both fields were pasted badly", Lexical: true,
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.Token, s.URL = s.Token+" ", "gitlab.example.com"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "invalid", Answer: "malformed-token certain + wrong-instance certain"}},
	},
	{
		Cause: "online-but-idle + version-skew", Name: "an old runner that somebody paused",
		Plant: func(w *World) {
			r := w.Made("instance", 0, labtest.M{"paused": true})
			w.Poll(r.Token, thisHost, "13.12.0")
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: []Cell{
			{Who: WithToken, Until: "16.11", Verdict: "valid", Answer: "online-but-idle certain + version-skew likely"},
			{Who: WithToken, Verdict: "valid", Answer: "online-but-idle certain + version-skew certain"},
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	},
	{
		Cause: "rotation-not-scheduled + duplicate-token", Name: "two sections, and neither may rotate",
		Plant: func(w *World) {
			s := w.Planted(w.soon())
			w.Head = "# Managed by Puppet\n"
			w.Config("host", thisHost, s, named("planted too", s))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "rotation-not-scheduled likely + duplicate-token certain"}},
	},
	{
		Cause: "record-deleted + server-read-only", Name: "deleted, and GitLab is in maintenance now",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.Delete(r)
			w.maintenance(true)
			w.Undo(func() { w.maintenance(false) })
		},
		Cells: []Cell{
			{Who: WithToken, Until: "17.11", Verdict: "unknown", Answer: "record-deleted likely + server-read-only certain"},
			{Who: Alone, Until: "17.11", Verdict: "unknown", Answer: "server-read-only certain"},
			// From 18.7 on maintenance keeps no question from its answer.
			{Who: WithToken, Verdict: "invalid", Answer: "record-deleted likely + server-read-only certain"},
			{Who: Alone, Verdict: "invalid", Answer: "record-deleted possible | rotated-elsewhere possible | server-restored possible | wrong-instance possible"},
		},
	},
	{
		Cause: "token-expired + reserved-arguments", Name: "expired, and the attempt to register again was refused",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.expiring("instance", 0)))
			w.Log("FATAL: Runner configuration other than name and executor configuration is reserved (specifically --locked) and cannot be specified when registering with a runner authentication token.")
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "token-expired certain + reserved-arguments certain"},
			{Who: Alone, Verdict: "invalid", Answer: "token-expired likely + reserved-arguments certain"},
		},
	},
	{
		Cause: "token-expired + duplicate-token", Name: "one token in two files, over its date",
		Plant: func(w *World) {
			s := w.Planted(w.expiring("instance", 0))
			w.Config("etc", thisHost, s)
			s.Obtained = s.Obtained.Add(time.Second)
			w.Config("home", thisHost, named("planted too", s))
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "token-expired certain + duplicate-token certain"},
			{Who: Alone, Verdict: "invalid", Answer: "token-expired likely + duplicate-token certain"},
		},
	},
}
