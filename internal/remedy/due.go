package remedy

import (
	"hash/fnv"
	"time"
)

// Due is when a token is to be rotated: at two thirds of its lifetime, or at
// maxAge (0: no limit), whichever comes first, and up to a twelfth of that time
// earlier, the same for a runner at every call, so that a fleet of one age is not
// rotated in one hour. known is false where neither is told: a token that does
// not expire and of which nobody knows how old it is, or no limit is set.
// gitlab-runner rotates by itself at three quarters.
func Due(obtained, expires time.Time, maxAge time.Duration, runner string) (due time.Time, known bool) {
	if obtained.IsZero() {
		return time.Time{}, false
	}
	early := jitter(runner)
	if lifetime := expires.Sub(obtained); !expires.IsZero() && lifetime > 0 {
		due, known = obtained.Add(time.Duration(float64(lifetime)*(2.0/3-early))), true
	}
	if maxAge > 0 {
		if at := obtained.Add(time.Duration(float64(maxAge) * (1 - early))); !known || at.Before(due) {
			due, known = at, true
		}
	}
	return due, known
}

// jitter is between 0 and a twelfth, and the same for equal texts.
func jitter(text string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return float64(h.Sum64()%1_000_003) / 1_000_003 / 12
}

// ownRotation is when gitlab-runner itself resets the token (common.RunnerCredentials,
// from 15.3): at three quarters of the lifetime; zero where it never does.
func ownRotation(obtained, expires time.Time) time.Time {
	if obtained.IsZero() || expires.IsZero() {
		return time.Time{}
	}
	return obtained.Add(expires.Sub(obtained) / 4 * 3)
}
