package rekey_test

import (
	"testing"

	"rekey"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rekey.Version{
		"15.11":             {Major: 15, Minor: 11},
		"v17.11.3":          {Major: 17, Minor: 11, Patch: 3},
		"18.0.0-pre":        {Major: 18},
		"19.3.1-ee":         {Major: 19, Minor: 3, Patch: 1},
		"17.5.0~beta.1.gab": {Major: 17, Minor: 5},
		"16.9.0+rfbsd":      {Major: 16, Minor: 9},
	} {
		if got, err := rekey.ParseVersion(text); err != nil || got != want {
			t.Errorf("ParseVersion(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "17", "x17.1", ".1", "17.", "-1.2", "17.99999", "99999.1", " 17.1", "development version"} {
		if got, err := rekey.ParseVersion(text); err == nil || rekey.KindOf(err) != rekey.KindInvalid || rekey.HintOf(err) == "" {
			t.Errorf("ParseVersion(%q) = %v, %v; want an invalid error with a hint", text, got, err)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	v := rekey.Version{Major: 17, Minor: 11, Patch: 3}
	for _, c := range []struct {
		major, minor int
		want         bool
	}{{17, 11, true}, {17, 0, true}, {16, 99, true}, {17, 12, false}, {18, 0, false}} {
		if got := v.AtLeast(c.major, c.minor); got != c.want {
			t.Errorf("%s at least %d.%d: %v, want %v", v, c.major, c.minor, got, c.want)
		}
	}
	if got := (rekey.Version{}).String(); got != "unknown" || v.String() != "17.11.3" {
		t.Errorf("String: %q and %q, want unknown and 17.11.3", got, v)
	}
}
