package fleet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"rekey"
	"rekey/internal/lazyregexp"
)

var agePattern = lazyregexp.New(`^(?:(\d{1,6})w)?(?:(\d{1,6})d)?((?:\d{1,6}h)?(?:\d{1,7}m)?(?:\d{1,9}s)?)$`)

// ParseAge reads a span of time such as 30d, 2w, 36h or 1d12h: weeks, days,
// hours, minutes, seconds, in this order. It is longer than nothing.
func ParseAge(text string) (time.Duration, error) {
	if strings.HasPrefix(text, "-") {
		return 0, rekey.Errorf(rekey.KindInvalid, "%q is negative: an age is how long ago, as 30d, 2w or 36h", text)
	}
	m := agePattern.FindStringSubmatch(text)
	if m == nil || text == "" {
		return 0, rekey.Errorf(rekey.KindInvalid, "%q is no span of time: write it as 30d, 2w, 36h or 1d12h", text)
	}
	weeks, _ := strconv.Atoi("0" + m[1])
	days, _ := strconv.Atoi("0" + m[2])
	rest := time.Duration(0)
	if m[3] != "" {
		rest, _ = time.ParseDuration(m[3])
	}
	hours := float64(weeks*7+days)*24 + rest.Hours()
	if hours > math.MaxInt64/float64(time.Hour)/2 {
		return 0, rekey.Errorf(rekey.KindInvalid, "%q is too long a span of time", text)
	}
	age := time.Duration(weeks*7+days)*24*time.Hour + rest
	if age <= 0 {
		return 0, rekey.Errorf(rekey.KindInvalid, "%q is no time at all: write it as 30d, 2w, 36h or 1d12h", text)
	}
	return age, nil
}

// AgeText writes a span of time as ParseAge reads it: in days from two days on,
// else in hours and minutes.
func AgeText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	}
	text := d.Truncate(time.Minute).String()
	text = strings.TrimSuffix(text, "0s")
	return strings.TrimSuffix(text, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(text, "h0m")]
}

// ParseDay reads a date (2026-03-01) or a moment (2026-03-01T12:00:00Z).
func ParseDay(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() >= 2000 && at.Year() < 2200 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, rekey.Errorf(rekey.KindInvalid, "%q is no date", text).WithHint("write it as 2026-03-01")
}

// DayText writes a moment as ParseDay reads it; "" for none.
func DayText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	at = at.UTC()
	if at.Equal(at.Truncate(24 * time.Hour)) {
		return at.Format(time.DateOnly)
	}
	return at.Format(time.RFC3339)
}

// Moment is a time as a person gives it: a date, or a span from another time.
type Moment struct {
	at   time.Time
	span time.Duration
	none bool
}

// ParseMoment reads a date, "today", "never" (which is none), or a span of time
// such as 90d.
func ParseMoment(text string) (Moment, error) {
	switch text {
	case "today", "now":
		return Moment{}, nil
	case "never", "none":
		return Moment{none: true}, nil
	}
	if at, err := ParseDay(text); err == nil {
		return Moment{at: at}, nil
	}
	span, err := ParseAge(text)
	if err != nil {
		return Moment{}, rekey.Errorf(rekey.KindInvalid, "%q is neither a date nor a span of time", text).WithHint("write 2026-03-01, today, 90d, or never")
	}
	return Moment{span: span}, nil
}

// From is the moment in whole days, spans counted from base.
func (m Moment) From(base time.Time) time.Time {
	switch {
	case m.none:
		return time.Time{}
	case !m.at.IsZero():
		return m.at
	}
	return base.Add(m.span).UTC().Truncate(24 * time.Hour)
}

// IsSpan reports whether the moment is a span of time, not a date.
func (m Moment) IsSpan() bool { return m.span > 0 }
