package gitlab

import (
	"testing"
	"time"

	"rekey"
)

func TestExpirySettingsThatAreNotShownAreNotKnown(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"GET /api/v4/groups/team": {200, `{"id":1,"full_path":"team","runner_token_expiration_interval":null}`, nil}})
	c, err := NewClient(Options{URL: f.URL, Token: rekey.NewToken("glpat-CANARYCANARYCANARY00"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.ExpirySettings(t.Context(), ExpiryReach{Reach: ReachGroup, Owner: "team"})
	if err != nil || len(got) != 3 || !got[0].Known || got[1].Known || got[2].Known {
		t.Errorf("got %+v, %v; want the first known, the others not", got, err)
	}
}
