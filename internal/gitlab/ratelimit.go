package gitlab

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestPause bounds what a header may ask for.
const longestPause = 24 * time.Hour

// retryAfter reads how long a 429 asks to wait: Retry-After in seconds or as a
// date, else RateLimit-ResetTime, else RateLimit-Reset. told is false when none
// is there.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, told bool) {
	now = serverNow(h, now)
	if text := strings.TrimSpace(h.Get("Retry-After")); text != "" {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			return clampSeconds(seconds), true
		}
		if at, err := http.ParseTime(text); err == nil {
			return clamp(at.Sub(now)), true
		}
	}
	if at, err := http.ParseTime(h.Get("RateLimit-ResetTime")); err == nil {
		return clamp(at.Sub(now)), true
	}
	if reset, ok := resetIn(h, now); ok {
		return reset, true
	}
	return 0, false
}

// window reads what is left of a rate limit and when it is renewed, by the
// server's clock: ours may be off by more than the window.
func window(h http.Header, now time.Time) (left float64, reset time.Duration, ok bool) {
	left, err := strconv.ParseFloat(h.Get("RateLimit-Remaining"), 64)
	if err != nil {
		return 0, 0, false
	}
	reset, ok = resetIn(h, serverNow(h, now))
	return left, reset, ok
}

func resetIn(h http.Header, now time.Time) (time.Duration, bool) {
	unix, err := strconv.ParseInt(h.Get("RateLimit-Reset"), 10, 64)
	if err != nil || unix <= 0 {
		return 0, false
	}
	return clampSeconds(unix - now.Unix()), true
}

func serverNow(h http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}

func clampSeconds(s int64) time.Duration {
	return clamp(time.Duration(max(0, min(s, int64(longestPause/time.Second)))) * time.Second)
}

func clamp(d time.Duration) time.Duration { return max(0, min(d, longestPause)) }
