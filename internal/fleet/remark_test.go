package fleet_test

import (
	"slices"
	"testing"
	"time"

	"rekey"
	"rekey/internal/fleet"
)

func marks(list []fleet.Remark) []fleet.Mark {
	var m []fleet.Mark
	for _, r := range list {
		m = append(m, r.Mark)
	}
	return m
}

func TestRemarks(t *testing.T) {
	t.Parallel()
	owned := fleet.NewLedger("u")
	for _, e := range []fleet.Entry{{ID: 1, Owner: "a", RotatedAt: now.Add(-80 * day), ExpiresAt: now.Add(5 * day)}, {ID: 2, Owner: "a", RotatedAt: now.Add(-5 * day)}, {ID: 3}} {
		if err := owned.Set(e); err != nil {
			t.Fatal(err)
		}
	}
	setting := map[rekey.Scope]time.Duration{rekey.ScopeInstance: 90 * day}
	online := func(id rekey.RunnerID, age time.Duration) fleet.Record {
		return with(silent(id, time.Hour), func(r *fleet.Record) {
			r.Runner.Online, r.Runner.Status, r.Runner.CreatedAt = yes(), "online", now.Add(-age)
		})
	}
	for name, c := range map[string]struct {
		lens   fleet.Lens
		record fleet.Record
		want   []fleet.Mark
	}{
		"healthy":                           {fleet.Lens{Now: now}, online(2, 10*day), nil},
		"offline":                           {fleet.Lens{Now: now}, silent(1, day), []fleet.Mark{fleet.MarkOffline}},
		"offline behind a pause":            {fleet.Lens{Now: now}, with(silent(1, day), func(r *fleet.Record) { r.Runner.Status = "paused" }), []fleet.Mark{fleet.MarkOffline}},
		"stale":                             {fleet.Lens{Now: now}, with(silent(1, 30*day), func(r *fleet.Record) { r.Runner.Status = "stale" }), []fleet.Mark{fleet.MarkOffline, fleet.MarkStale}},
		"no creator":                        {fleet.Lens{Now: now}, with(online(1, day), func(r *fleet.Record) { r.Runner.CreatorKnown = true }), []fleet.Mark{fleet.MarkLegacy}},
		"creator not told":                  {fleet.Lens{Now: now}, online(1, day), nil},
		"a creator":                         {fleet.Lens{Now: now}, with(online(1, day), func(r *fleet.Record) { r.Runner.CreatorKnown, r.Runner.Creator = true, "root" }), nil},
		"the file says when":                {fleet.Lens{Now: now, Within: 7 * day, Ledger: owned}, online(1, day), []fleet.Mark{fleet.MarkExpiring}},
		"the file says later":               {fleet.Lens{Now: now, Within: 4 * day, Ledger: owned}, online(1, day), nil},
		"nothing written down":              {fleet.Lens{Now: now, Ledger: owned}, online(3, day), []fleet.Mark{fleet.MarkUndated, fleet.MarkUnowned}},
		"by the setting":                    {fleet.Lens{Now: now, Within: 7 * day, Expiry: setting}, online(9, 85*day), []fleet.Mark{fleet.MarkExpiring}},
		"rotated since by the file":         {fleet.Lens{Now: now, Within: 7 * day, Expiry: setting, Ledger: owned}, online(2, 85*day), nil},
		"seen after the end it should have": {fleet.Lens{Now: now, Within: 7 * day, Expiry: setting}, online(9, 200*day), nil},
		"ended, and not seen after": {fleet.Lens{Now: now, Within: 7 * day, Expiry: setting},
			with(silent(9, 20*day), func(r *fleet.Record) { r.Runner.CreatedAt = now.Add(-100 * day) }), []fleet.Mark{fleet.MarkOffline, fleet.MarkExpiring}},
		"another scope's setting": {fleet.Lens{Now: now, Within: 7 * day, Expiry: map[rekey.Scope]time.Duration{rekey.ScopeGroup: 90 * day}}, online(9, 85*day), nil},
	} {
		if got := marks(c.lens.Remarks(c.record)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
