package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"rekey"
	fleets "rekey/internal/fleet" // package app has a type fleet
	"rekey/internal/gitlab"
)

// FleetInput says which records a fleet command is about.
type FleetInput struct {
	Access         Access
	Group, Project string // by path or id; none: all that the user may see
	Owners         string // the owners file; "" for runners.owners.yaml here
	Progress       func(done, total int)
}

// Fleet is the records of one GitLab within reach of one user, and the owners
// file beside them.
type Fleet struct {
	client *gitlab.Client
	in     FleetInput
	owners ownersFile
	ledger *fleets.Ledger // nil: there is no owners file
	now    time.Time      // GitLab's clock at the first look
	skew   time.Duration  // ours less GitLab's
}

// OpenFleet checks the owners file before GitLab is asked for anything, and then
// reads GitLab's clock: an age reckoned by a wrong clock would delete what lives.
func (a *App) OpenFleet(ctx context.Context, in FleetInput) (*Fleet, error) {
	if in.Group != "" && in.Project != "" {
		return nil, rekey.Errorf(rekey.KindInvalid, "a group and a project are named").WithHint("give --group or --project")
	}
	f := &Fleet{in: in, owners: ownersPath(in.Owners)}
	n, err := a.network(in.Access)
	if err != nil {
		return nil, err
	}
	if f.client, err = n.needClient(); err != nil {
		return nil, err
	}
	if f.ledger, err = f.owners.read(f.client.URL()); err != nil {
		return nil, err
	}
	if f.now, err = f.client.ServerTime(ctx); err != nil {
		return nil, err
	}
	f.skew = a.Now().Sub(f.now)
	return f, nil
}

// Now is GitLab's clock when the fleet was opened.
func (f *Fleet) Now() time.Time { return f.now }

// Skew is how far the local clock is ahead of GitLab's.
func (f *Fleet) Skew() time.Duration { return f.skew }

// listed returns GitLab's list for the scope, without details.
func (f *Fleet) listed(ctx context.Context, status string) ([]rekey.Runner, error) {
	return listRunners(ctx, f.client, ListInput{Group: f.in.Group, Project: f.in.Project, Status: status})
}

// details reads the records of ids. Those that are gone by now are left out;
// those that cannot be read are counted, with the first reason.
func (f *Fleet) details(ctx context.Context, ids []rekey.RunnerID) (records []fleets.Record, unread int, why error, err error) {
	found, err := f.client.Details(ctx, ids, f.in.Progress)
	if err != nil {
		return nil, 0, nil, err
	}
	for _, d := range found {
		switch {
		case gone(d.Err):
		case d.Err != nil:
			unread++
			if why == nil {
				why = d.Err
			}
		default:
			records = append(records, recordOf(d))
		}
	}
	return records, unread, why, nil
}

// gone reports whether GitLab says that it has no such record, which an address
// without the endpoint does not.
func gone(err error) bool {
	return err != nil && rekey.KindOf(err) == rekey.KindNotFound && !errors.Is(err, gitlab.ErrNoRoute)
}

func recordOf(d gitlab.Detail) fleets.Record {
	return fleets.Record{Runner: d.Runner, Managers: d.Managers, ManagersKnown: d.ManagersKnown, ReadAt: d.ReadAt}
}

// lens looks at records as they are now. within is how near an expiry must be,
// 0 not to look.
func (f *Fleet) lens(ctx context.Context, within time.Duration) (fleets.Lens, error) {
	l := fleets.Lens{Now: f.now, Within: within, Ledger: f.ledger}
	if within <= 0 {
		return l, nil
	}
	settings, err := f.client.ExpirySettings(ctx, gitlab.ExpiryReach{Reach: gitlab.ReachInstance})
	if rekey.KindOf(err) == rekey.KindDenied && err != nil {
		return l, nil // only administrators may: the estimate is left out, and counted as unknown
	}
	if err != nil {
		return l, err
	}
	l.Expiry = map[rekey.Scope]time.Duration{}
	for i, scope := range []rekey.Scope{rekey.ScopeInstance, rekey.ScopeGroup, rekey.ScopeProject} {
		if settings[i].Known {
			l.Expiry[scope] = settings[i].Interval
		}
	}
	return l, nil
}

// Seen is a record with what there is to say about it.
type Seen struct {
	Record  fleets.Record
	Remarks []fleets.Remark
	Owner   string
}

// Overview is a look at a fleets.
type Overview struct {
	Now            time.Time
	Shown          []Seen
	Of             int   // records looked at
	Unread         int   // records of which GitLab gave no details
	Why            error // the first reason for those
	ExpiryUnknown  int   // records of which nothing tells when their token ends
	CreatorUnknown int   // records of which GitLab does not say who made them
}

// Select lists the records that have one of marks; without marks, all. within is
// for MarkExpiring.
func (f *Fleet) Select(ctx context.Context, marks []fleets.Mark, within time.Duration) (Overview, error) {
	runners, err := f.listed(ctx, "")
	if err != nil {
		return Overview{}, err
	}
	lens, err := f.lens(ctx, within)
	if err != nil {
		return Overview{}, err
	}
	if lens.Ledger == nil && slices.ContainsFunc(marks, func(m fleets.Mark) bool { return m == fleets.MarkUndated || m == fleets.MarkUnowned }) {
		lens.Ledger = fleets.NewLedger(f.client.URL()) // nothing is written down yet
	}
	records, o := make([]fleets.Record, 0, len(runners)), Overview{Now: f.now, Of: len(runners)}
	for _, r := range runners {
		records = append(records, fleets.Record{Runner: r, ReadAt: f.now})
	}
	if within > 0 { // an estimate needs contact times, which lists leave out
		if records, o.Unread, o.Why, err = f.details(ctx, idsOf(runners)); err != nil {
			return o, err
		}
	}
	o.add(records, lens, marks)
	return o, nil
}

func (o *Overview) add(records []fleets.Record, lens fleets.Lens, marks []fleets.Mark) {
	for _, r := range records {
		remarks := lens.Remarks(r)
		if lens.Within > 0 && !lens.ExpiryKnown(r) {
			o.ExpiryUnknown++
		}
		if !r.Runner.CreatorKnown {
			o.CreatorUnknown++
		}
		if len(marks) > 0 && !fleets.Has(remarks, marks...) {
			continue
		}
		s := Seen{Record: r, Remarks: remarks}
		if lens.Ledger != nil {
			e, _ := lens.Ledger.Entry(r.Runner.ID)
			s.Owner = e.Owner
		}
		o.Shown = append(o.Shown, s)
	}
}

// Silent lists the records that nobody heard of for longer than age, and those
// never contacted that are at least as old, in detail.
func (f *Fleet) Silent(ctx context.Context, age time.Duration) (Overview, error) {
	records, o, err := f.quiet(ctx, func(r fleets.Record) bool { return r.OpenByList(f.now, age) && !r.NeverContacted() })
	if err != nil {
		return o, err
	}
	lens, err := f.lens(ctx, 0)
	if err != nil {
		return o, err
	}
	var old []fleets.Record
	for _, r := range records {
		if fleets.Silent(r, f.now, age) {
			old = append(old, r)
		}
	}
	o.add(old, lens, nil)
	return o, nil
}

// quiet returns all records that a list does not show online: in detail those of
// which open says that the list leaves the matter open, as the list has them the
// others. A record in detail is a request, and a fleet has a hundred thousand.
func (f *Fleet) quiet(ctx context.Context, open func(fleets.Record) bool) ([]fleets.Record, Overview, error) {
	runners, err := f.listed(ctx, "")
	if err != nil {
		return nil, Overview{}, err
	}
	o := Overview{Now: f.now, Of: len(runners)}
	var ids []rekey.RunnerID
	var plain []fleets.Record
	for _, r := range runners {
		switch listed := (fleets.Record{Runner: r, ReadAt: f.now}); {
		case r.Online != nil && *r.Online:
		case open(listed):
			ids = append(ids, r.ID)
		default:
			plain = append(plain, listed)
		}
	}
	records, unread, why, err := f.details(ctx, ids)
	o.Unread, o.Why = unread, why
	return append(records, plain...), o, err
}

func idsOf(runners []rekey.Runner) []rekey.RunnerID {
	var ids []rekey.RunnerID
	for _, r := range runners {
		ids = append(ids, r.ID)
	}
	return ids
}
