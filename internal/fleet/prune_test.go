package fleet_test

import (
	"slices"
	"testing"
	"time"

	"rekey"
	"rekey/internal/fleet"
)

const day = 24 * time.Hour

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func yes() *bool { v := true; return &v }
func no() *bool  { v := false; return &v }

// silent is an instance runner that was last seen some time ago.
func silent(id rekey.RunnerID, ago time.Duration) fleet.Record {
	return fleet.Record{ReadAt: now, ManagersKnown: true, Runner: rekey.Runner{ID: id, Scope: rekey.ScopeInstance, Status: "offline", Online: no(),
		ContactedAt: now.Add(-ago), CreatedAt: now.Add(-400 * day)}}
}

func with(r fleet.Record, edit func(*fleet.Record)) fleet.Record {
	edit(&r)
	return r
}

func TestPruneChooses(t *testing.T) {
	t.Parallel()
	rule := fleet.PruneRule{OlderThan: 30 * day, SpareTags: []string{"spare"}}
	never := with(silent(1, 0), func(r *fleet.Record) {
		r.Runner.Online, r.Runner.ContactedAt, r.Runner.Status = nil, time.Time{}, "never_contacted"
	})
	for name, c := range map[string]struct {
		record fleet.Record
		rule   fleet.PruneRule
		goes   bool
		spared string
	}{
		"silent for longer":          {silent(1, 31*day), rule, true, ""},
		"silent for exactly as long": {silent(1, 30*day), rule, false, ""},
		"silent for less":            {silent(1, 29*day), rule, false, ""},
		"a manager was seen":         {with(silent(1, 31*day), func(r *fleet.Record) { r.Managers = []rekey.Manager{{ContactedAt: now.Add(-day)}} }), rule, false, ""},
		"GitLab says online":         {with(silent(1, 31*day), func(r *fleet.Record) { r.Runner.Online = yes() }), rule, false, ""},
		"a manager is online":        {with(silent(1, 31*day), func(r *fleet.Record) { r.Managers = []rekey.Manager{{Status: "online"}} }), rule, false, ""},
		"paused and silent":          {with(silent(1, 31*day), func(r *fleet.Record) { r.Runner.Paused, r.Runner.Status = true, "paused" }), rule, true, ""},
		"tag spared":                 {with(silent(1, 31*day), func(r *fleet.Record) { r.Runner.Tags = []string{"a", "spare"} }), rule, false, "it has the tag spare"},
		"busy":                       {with(silent(1, 31*day), func(r *fleet.Record) { r.Runner.Busy = yes() }), rule, false, "GitLab says that a job runs on it"},
		"never contacted":            {never, rule, false, "it was never contacted (--include-never-contacted takes such ones too)"},
		"never contacted, included":  {never, fleet.PruneRule{OlderThan: 30 * day, IncludeNeverContacted: true}, true, ""},
		"never contacted, young": {with(never, func(r *fleet.Record) { r.Runner.CreatedAt = now.Add(-29 * day) }),
			fleet.PruneRule{OlderThan: 30 * day, IncludeNeverContacted: true}, false, ""},
		"never contacted, age unknown": {with(never, func(r *fleet.Record) { r.Runner.CreatedAt = time.Time{} }),
			fleet.PruneRule{OlderThan: 30 * day, IncludeNeverContacted: true}, false, "it was never contacted, and this GitLab does not say when it was made"},
		"never contacted, stale by GitLab's word, a week asked": {with(never, func(r *fleet.Record) { r.Runner.CreatedAt, r.Runner.Status = time.Time{}, "stale" }),
			fleet.PruneRule{OlderThan: 7 * day, IncludeNeverContacted: true}, true, ""},
		"never contacted, stale by GitLab's word, a month asked": {with(never, func(r *fleet.Record) { r.Runner.CreatedAt, r.Runner.Status = time.Time{}, "stale" }),
			fleet.PruneRule{OlderThan: 30 * day, IncludeNeverContacted: true}, false, ""},
	} {
		plan := fleet.Prune("https://gitlab.example.com", c.rule, []fleet.Record{c.record}, now, nil)
		spared := ""
		if len(plan.Spare) > 0 {
			spared = plan.Spare[0].Why
		}
		if goes := len(plan.Delete) == 1; goes != c.goes || spared != c.spared {
			t.Errorf("%s: goes %v, spared %q; want %v, %q", name, goes, spared, c.goes, c.spared)
		}
	}
}

// TestRecheckForgivesNothing: whatever moved between the list and the deletion
// keeps the record.
func TestRecheckForgivesNothing(t *testing.T) {
	t.Parallel()
	rule := fleet.PruneRule{OlderThan: 30 * day}
	before := silent(1, 40*day)
	before.Managers = []rekey.Manager{{SystemID: "s_0123456789ab", ContactedAt: now.Add(-40 * day), Status: "stale"}}
	c := fleet.Prune("u", rule, []fleet.Record{before}, now, nil).Delete[0]
	if why := rule.Recheck(c, before, nil); why != "" {
		t.Fatalf("unchanged: %q, want nothing", why)
	}
	keeps := fleet.NewLedger("u")
	if err := keeps.Set(fleet.Entry{ID: 1, Keep: true}); err != nil {
		t.Fatal(err)
	}
	if rule.Recheck(c, before, keeps) == "" {
		t.Error("the owners file says keep: it goes, want it to stay")
	}
	for name, edit := range map[string]func(*fleet.Record){
		"seen a second later": func(r *fleet.Record) { r.Runner.ContactedAt = r.Runner.ContactedAt.Add(time.Second) },
		"a manager seen": func(r *fleet.Record) {
			r.Managers = append(slices.Clone(r.Managers), rekey.Manager{ContactedAt: now.Add(-35 * day)})
		},
		"online":                func(r *fleet.Record) { r.Runner.Online = yes() },
		"tags":                  func(r *fleet.Record) { r.Runner.Tags = []string{"new"} },
		"description":           func(r *fleet.Record) { r.Runner.Description = "mine" },
		"paused":                func(r *fleet.Record) { r.Runner.Paused = true },
		"note":                  func(r *fleet.Record) { r.Runner.MaintenanceNote = "keep" },
		"assigned":              func(r *fleet.Record) { r.Runner.Projects = []rekey.Ref{{ID: 1}} },
		"another record":        func(r *fleet.Record) { r.Runner.CreatedAt = now },
		"another id":            func(r *fleet.Record) { r.Runner.ID = 2 },
		"managers out of sight": func(r *fleet.Record) { r.ManagersKnown, r.Managers = false, nil },
		"a job":                 func(r *fleet.Record) { r.Runner.Busy = yes() },
		"the clock went back":   func(r *fleet.Record) { r.ReadAt = now.Add(-20 * day) },
	} {
		if why := rule.Recheck(c, with(before, edit), nil); why == "" {
			t.Errorf("%s: it goes, want it to stay", name)
		}
	}
}

func TestDigestNamesTheList(t *testing.T) {
	t.Parallel()
	rule := fleet.PruneRule{OlderThan: 30 * day, SpareTags: []string{"b", "a", "b"}}
	a, b := silent(1, 40*day), silent(2, 50*day)
	digest := fleet.Prune("u", rule, []fleet.Record{a, b}, now, nil).Digest()
	rule.SpareTags = []string{"a", "b"}
	if again := fleet.Prune("u", rule, []fleet.Record{b, a}, now.Add(time.Hour), nil).Digest(); again != digest {
		t.Errorf("the same list an hour later has digest %s, want %s", again, digest)
	}
	if len(digest) != 16 {
		t.Errorf("digest %q, want 16 characters", digest)
	}
	for name, other := range map[string]fleet.PrunePlan{
		"one less":       fleet.Prune("u", rule, []fleet.Record{a}, now, nil),
		"other GitLab":   fleet.Prune("v", rule, []fleet.Record{a, b}, now, nil),
		"other age":      fleet.Prune("u", fleet.PruneRule{OlderThan: 31 * day, SpareTags: rule.SpareTags}, []fleet.Record{a, b}, now, nil),
		"seen meanwhile": fleet.Prune("u", rule, []fleet.Record{silent(1, 39*day), b}, now, nil),
	} {
		if other.Digest() == digest {
			t.Errorf("%s: the digest is the same", name)
		}
	}
}

func TestPruneRefusesAgesThatCouldHitTheLiving(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]bool{0: false, -day: false, 2 * time.Hour: false, 3 * time.Hour: true, 30 * day: true} {
		if err := (fleet.PruneRule{OlderThan: age}).Check(); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %v", age, err, want)
		}
	}
}
