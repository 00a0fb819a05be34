package app_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
	"rekey/internal/lab/labtest"
)

// world is a lab whose clock moves, and what is needed to be its runners.
type world struct {
	*labtest.Lab
	t  *testing.T
	mu sync.Mutex

	now   time.Time
	fault func(http.ResponseWriter, *http.Request, http.Handler) // nil: none
}

func newWorld(t *testing.T, version string) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().Add(-400 * 24 * time.Hour).Truncate(time.Second)}
	w.Lab = labtest.Start(t, labtest.Options{Version: version, Now: w.clock, Fault: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			fault := w.fault
			w.mu.Unlock()
			if fault == nil {
				next.ServeHTTP(rw, r)
				return
			}
			fault(rw, r, next)
		})
	}})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) on(fault func(http.ResponseWriter, *http.Request, http.Handler)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// contact is a poll for jobs, as a runner sends it.
func (w *world) contact(r labtest.Issued) {
	w.t.Helper()
	a := w.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": "s_0123456789ab", "info": labtest.M{"version": "16.1.0"}})
	if a.Status != http.StatusNoContent {
		w.t.Fatalf("poll of runner %d: got %d %s", r.ID, a.Status, a.Body)
	}
}

func (w *world) exists(id int64) bool {
	w.t.Helper()
	return w.Call("GET", fmt.Sprintf("runners/%d", id), w.Admin, nil).Status == http.StatusOK
}

func (w *world) fleet(token string, in app.FleetInput) *app.Fleet {
	w.t.Helper()
	a := app.New(func(name string) (string, bool) {
		v, ok := map[string]string{"GITLAB_HOST": w.URL, "GITLAB_TOKEN": token}[name]
		return v, ok
	}, "test")
	f, err := a.OpenFleet(w.t.Context(), in)
	if err != nil {
		w.t.Fatalf("open fleet: %v", err)
	}
	return f
}

func (w *world) plan(f *app.Fleet, rule fleet.PruneRule) fleet.PrunePlan {
	w.t.Helper()
	plan, o, err := f.PrunePlan(w.t.Context(), rule)
	if err != nil || o.Unread != 0 {
		w.t.Fatalf("plan: %v, %d unread", err, o.Unread)
	}
	return plan
}

const day = 24 * time.Hour

func planned(p fleet.PrunePlan) []int64 {
	var ids []int64
	for _, c := range p.Delete {
		ids = append(ids, int64(c.Record.Runner.ID))
	}
	return ids
}

func outcomes(results []app.PruneResult) map[int64]app.PruneOutcome {
	m := map[int64]app.PruneOutcome{}
	for _, r := range results {
		m[int64(r.Candidate.Record.Runner.ID)] = r.Outcome
	}
	return m
}

// TestPruneDeletesWhatItListedUnlessItCameBack follows a fleet over two months of
// the lab's clock, which the local one knows nothing of.
func TestPruneDeletesWhatItListedUnlessItCameBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.5")
	old, spare := w.Runner("instance", 0, nil), w.Runner("instance", 0, labtest.M{"tag_list": []string{"dr-site", "x"}})
	returns, edited, never := w.Runner("instance", 0, nil), w.Runner("instance", 0, labtest.M{"tag_list": []string{"a"}}), w.Runner("instance", 0, nil)
	vanishes, recent := w.Runner("instance", 0, nil), w.Runner("instance", 0, nil)
	for _, r := range []labtest.Issued{old, spare, returns, edited, vanishes, recent} {
		w.contact(r)
	}
	w.advance(40 * day)
	w.contact(recent)
	w.advance(20 * day)
	late := w.Runner("instance", 0, nil)

	f := w.fleet(w.Admin, app.FleetInput{})
	plan := w.plan(f, fleet.PruneRule{OlderThan: 30 * day, SpareTags: []string{"dr-site"}})
	if want := []int64{old.ID, returns.ID, edited.ID, vanishes.ID}; !slices.Equal(planned(plan), want) {
		t.Fatalf("the plan deletes %v, want %v", planned(plan), want)
	}
	if len(plan.Spare) != 2 || int64(plan.Spare[0].ID) != spare.ID || int64(plan.Spare[1].ID) != never.ID {
		t.Errorf("spared %+v, want runners %d (tag) and %d (never contacted)", plan.Spare, spare.ID, never.ID)
	}
	w.contact(returns)
	w.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", edited.ID), labtest.M{"tag_list": []string{"a", "keep-me"}}, nil)
	w.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", vanishes.ID), nil, nil)

	got := outcomes(f.Prune(t.Context(), plan, nil))
	want := map[int64]app.PruneOutcome{old.ID: app.PruneDeleted, returns.ID: app.PruneSpared, edited.ID: app.PruneSpared, vanishes.ID: app.PruneGone}
	for id, outcome := range want {
		if got[id] != outcome {
			t.Errorf("runner %d: got %q, want %q", id, got[id], outcome)
		}
	}
	for id, there := range map[int64]bool{old.ID: false, spare.ID: true, returns.ID: true, edited.ID: true, never.ID: true, recent.ID: true, late.ID: true} {
		if w.exists(id) != there {
			t.Errorf("runner %d exists: %v, want %v", id, !there, there)
		}
	}
}

// TestPruneOfRandomFleets: nothing goes but what was listed, nothing that was seen
// after the list, nothing younger than the age.
func TestPruneOfRandomFleets(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		version := []string{"15.11", "17.11", "18.5", "19.3"}[seed]
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			w := newWorld(t, version)
			var all []labtest.Issued
			seen, made := map[int64]time.Time{}, map[int64]time.Time{}
			for range 25 {
				r := w.Runner("instance", 0, labtest.M{"paused": random.IntN(4) == 0})
				all, made[r.ID] = append(all, r), w.clock()
				w.advance(time.Duration(random.IntN(3*24)) * time.Hour)
				if back := all[random.IntN(len(all))]; random.IntN(3) > 0 {
					w.contact(back)
					seen[back.ID] = w.clock()
				}
			}
			f := w.fleet(w.Admin, app.FleetInput{})
			rule := fleet.PruneRule{OlderThan: 10 * day, IncludeNeverContacted: true}
			plan := w.plan(f, rule)
			back := map[int64]bool{}
			for _, r := range all {
				if random.IntN(4) == 0 {
					w.contact(r)
					back[r.ID] = true
				}
			}
			newcomer := w.Runner("instance", 0, nil)
			f.Prune(t.Context(), plan, nil)
			deleted := 0
			for _, r := range append(all, newcomer) {
				if w.exists(r.ID) {
					continue
				}
				deleted++
				newest := seen[r.ID]
				if newest.IsZero() {
					newest = made[r.ID]
				}
				if !slices.Contains(planned(plan), r.ID) || back[r.ID] || w.clock().Sub(newest) < rule.OlderThan {
					t.Errorf("runner %d was deleted: listed %v, back %v, silent for %s", r.ID, slices.Contains(planned(plan), r.ID), back[r.ID], w.clock().Sub(newest))
				}
			}
			if deleted == 0 {
				t.Error("nothing was deleted: the test shows nothing")
			}
		})
	}
}

// TestPruneLosesARaceSafely: the record changes between the last look and the
// deletion.
func TestPruneLosesARaceSafely(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "17.11")
	r := w.Runner("instance", 0, nil)
	w.contact(r)
	w.advance(60 * day)
	f := w.fleet(w.Admin, app.FleetInput{})
	plan := w.plan(f, fleet.PruneRule{OlderThan: 30 * day})
	var once sync.Once
	w.on(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
		if req.Method == http.MethodDelete {
			once.Do(func() {
				w.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", r.ID), labtest.M{"description": "mine"}, nil)
			})
		}
		next.ServeHTTP(rw, req)
	})
	results := f.Prune(t.Context(), plan, nil)
	if len(results) != 1 || results[0].Outcome != app.PruneSpared || !w.exists(r.ID) {
		t.Errorf("got %+v, exists %v, want spared and there", results, w.exists(r.ID))
	}
}

// TestPruneObservesALostAnswer: the deletion happened, the answer did not arrive.
func TestPruneObservesALostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "17.11")
	first, second := w.Runner("instance", 0, nil), w.Runner("instance", 0, nil)
	w.contact(first)
	w.contact(second)
	w.advance(60 * day)
	f := w.fleet(w.Admin, app.FleetInput{})
	plan := w.plan(f, fleet.PruneRule{OlderThan: 30 * day})
	deletions := 0
	w.on(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
		next.ServeHTTP(rw, req)
		if req.Method == http.MethodDelete {
			deletions++
			panic(http.ErrAbortHandler)
		}
	})
	got := outcomes(f.Prune(t.Context(), plan, nil))
	if got[first.ID] != app.PruneDeleted || got[second.ID] != app.PruneDeleted || deletions != 2 {
		t.Errorf("got %v after %d deletions, want both deleted after 2", got, deletions)
	}
}

// TestPruneStopsWhereNothingCanSucceed: maintenance mode begins half way.
func TestPruneStopsWhereNothingCanSucceed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "17.11")
	var all []labtest.Issued
	for range 3 {
		r := w.Runner("instance", 0, nil)
		w.contact(r)
		all = append(all, r)
	}
	w.advance(60 * day)
	f := w.fleet(w.Admin, app.FleetInput{})
	plan := w.plan(f, fleet.PruneRule{OlderThan: 30 * day})
	results := f.Prune(t.Context(), plan, func(done, _ int) {
		if done == 1 {
			w.Setting(labtest.M{"maintenance_mode": true})
		}
	})
	got := outcomes(results)
	if got[all[0].ID] != app.PruneDeleted || got[all[1].ID] != app.PruneFailed || got[all[2].ID] != app.PruneUntried {
		t.Errorf("got %v, want deleted, failed, untried", got)
	}
}

// TestPruneKeepsToItsScope: what a group or a project inherits is not its own,
// and a runner of several projects is not one project's.
func TestPruneKeepsToItsScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.5")
	group := w.Group("team", 0)
	child := w.Group("child", group)
	project, path := w.Project("app", child)
	other, _ := w.Project("other", child)
	instance, above, own := w.Runner("instance", 0, nil), w.Runner("group", group, nil), w.Runner("group", child, nil)
	alone, shared := w.Runner("project", project, nil), w.Runner("project", project, nil)
	w.Must(http.StatusCreated, "POST", fmt.Sprintf("projects/%d/runners", other), labtest.M{"runner_id": shared.ID}, nil)
	for _, r := range []labtest.Issued{instance, above, own, alone, shared} {
		w.contact(r)
	}
	w.advance(60 * day)
	rule := fleet.PruneRule{OlderThan: 30 * day}
	if got := planned(w.plan(w.fleet(w.Admin, app.FleetInput{Group: "team/child"}), rule)); !slices.Equal(got, []int64{own.ID}) {
		t.Errorf("of the group: %v, want its own %d", got, own.ID)
	}
	plan := w.plan(w.fleet(w.Admin, app.FleetInput{Project: path}), rule)
	if got := planned(plan); !slices.Equal(got, []int64{alone.ID}) || len(plan.Spare) != 1 || int64(plan.Spare[0].ID) != shared.ID {
		t.Errorf("of the project: %v, spared %+v; want %d, and %d spared", got, plan.Spare, alone.ID, shared.ID)
	}
}

// TestPruneReadsInDetailOnlyWhatAListLeavesOpen: a record in detail is a request, and
// the budget has ten a second.
func TestPruneReadsInDetailOnlyWhatAListLeavesOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.11")
	silent, never := w.Runner("instance", 0, nil), w.Runner("instance", 0, nil)
	w.contact(silent)
	w.advance(60 * day)
	young := w.Runner("instance", 0, nil)
	w.contact(young)
	w.advance(3 * day)
	read := map[string]int{}
	w.on(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if id, in := strings.CutPrefix(r.URL.Path, "/api/v4/runners/"); in && !strings.Contains(id, "/") {
			w.mu.Lock()
			read[id]++
			w.mu.Unlock()
		}
		next.ServeHTTP(rw, r)
	})
	only := map[string]int{fmt.Sprint(silent.ID): 1, "all": 1}
	plan := w.plan(w.fleet(w.Admin, app.FleetInput{}), fleet.PruneRule{OlderThan: 30 * day})
	if got := planned(plan); !slices.Equal(got, []int64{silent.ID}) || len(plan.Spare) != 1 || int64(plan.Spare[0].ID) != never.ID || plan.Kept != 1 {
		t.Errorf("delete %v, spare %v, %d kept; want %d, %d and one kept", got, plan.Spare, plan.Kept, silent.ID, never.ID)
	}
	if !maps.Equal(read, only) {
		t.Errorf("a prune read %v, want %v", read, only)
	}
	clear(read)
	o, err := w.fleet(w.Admin, app.FleetInput{}).Silent(t.Context(), 30*day)
	if err != nil || len(o.Shown) != 2 || o.Of != 3 {
		t.Errorf("silent: %+v, %v; want runners %d and %d", o, err, silent.ID, never.ID)
	}
	if !maps.Equal(read, only) {
		t.Errorf("stale read %v, want %v", read, only)
	}
}

// TestPruneNamesTheRightThatIsMissing: a Maintainer lists a group's runners and
// may not delete them.
func TestPruneNamesTheRightThatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.5")
	group := w.Group("team", 0)
	r := w.Runner("group", group, nil)
	w.contact(r)
	w.advance(60 * day)
	user := w.User("maintainer")
	w.Member("groups", group, user, 40)
	f := w.fleet(w.PAT(user, "api"), app.FleetInput{Group: "team"})
	results := f.Prune(t.Context(), w.plan(f, fleet.PruneRule{OlderThan: 30 * day}), nil)
	if len(results) != 1 || results[0].Outcome != app.PruneFailed || rekey.KindOf(results[0].Err) != rekey.KindDenied || !strings.Contains(rekey.HintOf(results[0].Err), "Owner of the group") {
		t.Fatalf("got %+v, want a denial that names the role", results)
	}
	reader := w.fleet(w.PAT(1, "read_api"), app.FleetInput{})
	results = reader.Prune(t.Context(), w.plan(reader, fleet.PruneRule{OlderThan: 30 * day}), nil)
	if len(results) != 1 || !strings.Contains(rekey.HintOf(results[0].Err), "manage_runner") || !w.exists(r.ID) {
		t.Errorf("got %+v, want a denial that names the scope", results)
	}
}
