package fleet_test

import (
	"testing"
	"time"

	"rekey/internal/fleet"
)

func TestParseAge(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 30 * day, "2w": 14 * day, "36h": 36 * time.Hour, "1d12h": 36 * time.Hour, "1w1d1h1m1s": 8*day + time.Hour + time.Minute + time.Second, "90m": 90 * time.Minute,
		"": 0, "0d": 0, "0": 0, "-3d": 0, "30": 0, "30x": 0, "30 d": 0, "1h1d": 0, "1.5d": 0, "999999w": 0, "d": 0, "1e9d": 0, "9999999999999d": 0, "٣d": 0,
	} {
		got, err := fleet.ParseAge(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("ParseAge(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestAgeTextIsReadBack(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{30 * day: "30d", 49 * time.Hour: "2d1h", 36 * time.Hour: "36h", 90 * time.Minute: "1h30m", 5 * time.Minute: "5m", 30 * time.Second: "30s", -time.Hour: "0s"} {
		if got := fleet.AgeText(d); got != want {
			t.Errorf("AgeText(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestParseMoment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"2026-03-01": "2026-03-01", "today": "2026-06-01", "10d": "2026-06-11", "never": "", "2026-03-01T10:00:00+02:00": "2026-03-01T08:00:00Z"} {
		m, err := fleet.ParseMoment(text)
		if got := fleet.DayText(m.From(now)); err != nil || got != want {
			t.Errorf("ParseMoment(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-01", "1.3.2026", "0001-01-01"} {
		if _, err := fleet.ParseMoment(text); err == nil {
			t.Errorf("ParseMoment(%q) is accepted, want an error", text)
		}
	}
}
