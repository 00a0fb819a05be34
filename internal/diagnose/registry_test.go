package diagnose

import (
	"slices"
	"testing"

	"rekey"
)

// judged are the causes of the root package's vocabulary.
var judged = []rekey.Cause{
	rekey.LegacyRegistrationDisabled, rekey.RegistrationTokenInConfig, rekey.RecordDeleted, rekey.RotatedElsewhere,
	rekey.TokenExpired, rekey.EnvironmentReference, rekey.MalformedToken, rekey.WrongInstance, rekey.WrongScope,
	rekey.OnlineButIdle, rekey.DuplicateToken, rekey.VersionSkew, rekey.RateLimited, rekey.Unreachable,
	rekey.ServerReadOnly, rekey.RunnerOrphaned, rekey.UnexpectedAnswer,
	rekey.RotationNotScheduled, rekey.SharedToken, rekey.OtherConfigInForce, rekey.ReloadMissed,
	rekey.RunnerTokenInLegacyField, rekey.ReservedArguments, rekey.RotationNotSaved, rekey.UnhealthyWindow,
	rekey.ClonedSystemID, rekey.ServerRestored, rekey.NotPropagated,
}

func TestRegistryIsComplete(t *testing.T) {
	t.Parallel()
	for _, e := range Registry() {
		if missing := e.incomplete(); missing != "" {
			t.Errorf("%s: got no %s, want every field filled", e.Cause, missing)
		}
		if _, err := rekey.ParseSeverity(string(e.Severity)); err != nil {
			t.Errorf("%s: %v", e.Cause, err)
		}
	}
	if (Entry{Cause: "x", Meaning: "x"}).incomplete() == "" {
		t.Errorf("an entry of two fields: got complete, want incomplete")
	}
}

func TestRegistryHoldsEachCauseOnce(t *testing.T) {
	t.Parallel()
	slugs := map[rekey.Cause]int{}
	for _, e := range Registry() {
		slugs[e.Cause]++
	}
	for _, c := range judged {
		if slugs[c] != 1 {
			t.Errorf("%s: got %d entries, want 1", c, slugs[c])
		}
	}
	if len(slugs) != len(judged) {
		t.Errorf("got %d causes, want the %d of the vocabulary", len(slugs), len(judged))
	}
	for _, c := range Planned() {
		if slugs[c] != 0 {
			t.Errorf("%s is planned and judged, want one of them", c)
		}
		slugs[c]++
	}
	if len(slugs) != 28 {
		t.Errorf("got %d slugs, judged and planned, want 28", len(slugs))
	}
}

// nest moves findings one level deep: a cause that is explained must not explain.
func TestExplainsIsOneLevelDeep(t *testing.T) {
	t.Parallel()
	for _, e := range Registry() {
		for _, c := range e.Explains {
			explained, ok := LookupEntry(c)
			if !ok {
				t.Errorf("%s explains %s, which is not judged", e.Cause, c)
			}
			if len(explained.Explains) > 0 {
				t.Errorf("%s explains %s, which explains %v; want one level", e.Cause, c, explained.Explains)
			}
		}
	}
}

func TestRegistryIsTheCallers(t *testing.T) {
	t.Parallel()
	before := Registry()
	slices.Reverse(Registry())
	if got := Registry()[0].Cause; got != before[0].Cause {
		t.Errorf("got %s first after a caller's change, want %s", got, before[0].Cause)
	}
}
