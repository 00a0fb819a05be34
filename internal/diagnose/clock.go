package diagnose

import (
	"fmt"
	"time"
)

// mostSkew is how far two clocks may be apart before it is worth a note. The Date
// header has whole seconds, and an answer takes some.
const mostSkew = 30 * time.Second

// skew is how far the local clock is ahead of the server's; ok is false when the
// server told no time.
func (s Server) skew() (ahead time.Duration, ok bool) {
	if s.ServerTime.IsZero() || s.ReadAt.IsZero() {
		return 0, false
	}
	return s.ReadAt.Sub(s.ServerTime), true
}

func (s Server) skewSeconds() *int64 {
	ahead, ok := s.skew()
	if !ok {
		return nil
	}
	seconds := int64(ahead / time.Second) // towards zero: the Date is cut to whole seconds
	return &seconds
}

// clockNotes tell of GitLabs whose clock is not this machine's. Dates in a config
// are judged by GitLab's.
func clockNotes(servers []Server) []string {
	var notes []string
	for _, s := range servers {
		ahead, ok := s.skew()
		if !ok || ahead.Abs() <= mostSkew {
			continue
		}
		where := "ahead of"
		if ahead < 0 {
			where = "behind"
		}
		notes = append(notes, fmt.Sprintf("this machine's clock is %s %s that of %s (Date header); expiry is judged by GitLab's clock, but gitlab-runner's own rotation timer goes by the host's: set the clock that is wrong",
			span(ahead.Abs()), where, shownURL(s.URL)))
	}
	return notes
}

// span is a duration as people say it: its two largest units.
func span(d time.Duration) string {
	day := 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
