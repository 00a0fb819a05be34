package fleet_test

import (
	"slices"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/fleet"
)

func ver(t *testing.T, text string) rekey.Version {
	t.Helper()
	if text == "" {
		return rekey.Version{}
	}
	v, err := rekey.ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFit(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]fleet.Fit{
		{"17.11.2", "17.11.0-ee"}: fleet.FitEqual, {"17.3", "17.11"}: fleet.FitMinor, {"17.11", "17.3"}: fleet.FitMayWork,
		{"16.11", "17.0"}: fleet.FitMayWork, {"18.0", "17.11"}: fleet.FitMayWork, {"", "17.0"}: fleet.FitUnknown, {"17.0", ""}: fleet.FitUnknown,
	} {
		if got := fleet.FitOf(ver(t, pair[0]), ver(t, pair[1])); got != want {
			t.Errorf("runner %q at GitLab %q: %q, want %q", pair[0], pair[1], got, want)
		}
	}
}

func managed(id rekey.RunnerID, managers ...rekey.Manager) fleet.Record {
	return fleet.Record{ManagersKnown: true, Managers: managers, Runner: rekey.Runner{ID: id, Status: "online", Online: yes()}}
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	m, err := fleet.Matrix(fleet.CompatInput{Server: ver(t, "17.11"), Target: ver(t, "18.11"), Unread: 1, Records: []fleet.Record{
		managed(1, rekey.Manager{Version: "16.1.0", Status: "online"}, rekey.Manager{Version: "17.11.0", Status: "offline"}, rekey.Manager{Version: "12.0.0", Status: "stale"}),
		managed(2, rekey.Manager{Version: "16.1.0", Status: "offline"}),
		managed(3, rekey.Manager{Version: "", Status: "online"}),
		{Runner: rekey.Runner{ID: 4, Version: "17.3.1", Online: yes(), Status: "online"}}, // managers not listed
		{Runner: rekey.Runner{ID: 5, Status: "never_contacted"}, ManagersKnown: true},
		{Runner: rekey.Runner{ID: 6, Version: "11.0.0", Online: no(), Status: "stale"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range m.Lines {
		got = append(got, strings.Join([]string{l.Text, string(l.Now), string(l.Then)}, "|"))
	}
	if want := []string{"17.11.0|equal|may work", "17.3.1|works|may work", "16.1.0|may work|may work", "|unknown|unknown"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if old := m.Lines[2]; old.Managers != 2 || old.Online != 1 || !slices.Equal(old.Runners, []rekey.RunnerID{1, 2}) || len(old.Changes) == 0 {
		t.Errorf("16.1.0: %+v, want two managers, one online, of runners 1 and 2, with changes", old)
	}
	if m.StaleManagers != 2 || m.Untold != 1 {
		t.Errorf("%d stale, %d untold, want 2, 1", m.StaleManagers, m.Untold)
	}
	want := []string{"Find out", "Raise gitlab-runner to 17.11 where", "Raise GitLab from 17.11 to 18.11", "Raise gitlab-runner to 18.11: 16.1.0 (2), 17.3.1 (1), 17.11.0 (1)"}
	if len(m.Path) != len(want) {
		t.Fatalf("path %q, want %d steps", m.Path, len(want))
	}
	for i, start := range want {
		if !strings.HasPrefix(m.Path[i], start) {
			t.Errorf("step %d: %q, want %q…", i+1, m.Path[i], start)
		}
	}
	if _, err := fleet.Matrix(fleet.CompatInput{Server: ver(t, "18.0"), Target: ver(t, "17.0")}); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("a target behind the server: %v, want invalid", err)
	}
}

// TestRegistrationTokensEndInTheTable: what a fleet must know before 20.0, and
// not before.
func TestRegistrationTokensEndInTheTable(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]bool{"19.3": false, "20.0": true, "21.0": true} {
		m, err := fleet.Matrix(fleet.CompatInput{Server: ver(t, "18.11"), Target: ver(t, target)})
		if err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(m.Crossed, func(c fleet.Change) bool { return c.ID == "registration-removed" && c.Level == fleet.LevelPlanned })
		if got != want {
			t.Errorf("to %s: crossed %v, want registration-removed there: %v", target, m.Crossed, want)
		}
	}
}

func TestEveryRowHasASource(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range fleet.Changes() {
		if row.Source == "" || row.Says == "" || row.Level == "" || row.ID == "" || seen[row.ID] {
			t.Errorf("row %+v lacks something, or its id is there twice", row)
		}
		if row.Component == fleet.ComponentRunner && row.RunnerBelow.IsZero() {
			t.Errorf("%s is about managers and names no version", row.ID)
		}
		seen[row.ID] = true
	}
}
