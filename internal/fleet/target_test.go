package fleet_test

import (
	"slices"
	"testing"

	"rekey"
	"rekey/internal/fleet"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rekey.Version{
		"17": {Major: 17}, "17.0": {Major: 17}, "v18.11.2": {Major: 18, Minor: 11}, "19.3": {Major: 19, Minor: 3},
		"15.11": {Major: 15, Minor: 11}, "18.2.1-ee": {Major: 18, Minor: 2}, "20.0": {Major: 20}, "18.4.0-rc42": {Major: 18, Minor: 4},
	} {
		if got, err := fleet.ParseTarget(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "15.10", "15", "14.8.2", "17.12", "18.x", "17.0.", "17 0", "-1", "99", "22.0", "17.0; rm", "latest", "17,0"} {
		if got, err := fleet.ParseTarget(text); rekey.KindOf(err) != rekey.KindInvalid || rekey.HintOf(err) == "" {
			t.Errorf("%q is %v, %v; want KindInvalid with a hint", text, got, err)
		}
	}
}

func TestParseTargetNamesTheNextMajor(t *testing.T) {
	t.Parallel()
	_, err := fleet.ParseTarget("17.12")
	if want := "there is no GitLab 17.12: after 17.11 comes 18.0"; err == nil || err.Error() != want {
		t.Errorf("17.12 is refused with %v, want %q", err, want)
	}
}

// TestCrossedIsWhatLiesBetween: neither what holds already nor what comes later.
func TestCrossedIsWhatLiesBetween(t *testing.T) {
	t.Parallel()
	var got []string
	for _, row := range fleet.Crossed(ver(t, "17.11"), ver(t, "18.7")) {
		got = append(got, row.ID)
	}
	if want := []string{"stale-after-a-week", "verify-is-contact", "runner-api-limits", "discovery"}; !slices.Equal(got, want) {
		t.Errorf("from 17.11 to 18.7: %v, want %v", got, want)
	}
	if got := fleet.Crossed(rekey.Version{}, ver(t, "18.7")); got != nil {
		t.Errorf("from an unknown version: %v, want none", got)
	}
}
