package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"rekey"
	fleets "rekey/internal/fleet" // package app has a type fleet
	"rekey/internal/gitlab"
)

// ExpirySetting is one interval after which new tokens expire.
type ExpirySetting struct {
	For      string        // instance, group, subgroup or project: whose runners
	Key      string        // as GitLab spells it
	Interval time.Duration // 0: never, where Known
	Known    bool          // GitLab showed it
}

// Expiry is the expiry settings of the instance, a group or a project.
type Expiry struct {
	Place    string // "the instance", "group acme", "project acme/web"
	Settings []ExpirySetting

	client *gitlab.Client
	reach  gitlab.ExpiryReach
}

// leastExpiry is the shortest interval that GitLab takes (doc/api/settings).
const leastExpiry = 2 * time.Hour

// expiryFor names, for each reach, the runners that a setting is about, in the
// order in which the adapter returns them.
var expiryFor = map[gitlab.Reach][]string{
	gitlab.ReachInstance: {"instance", "group", "project"},
	gitlab.ReachGroup:    {"group", "subgroup", "project"},
	gitlab.ReachProject:  {"project"},
}

// OpenExpiry reads the settings of a place.
func (a *App) OpenExpiry(ctx context.Context, access Access, group, project string) (*Expiry, error) {
	if group != "" && project != "" {
		return nil, rekey.Errorf(rekey.KindInvalid, "a group and a project are named").WithHint("give --group or --project")
	}
	n, err := a.network(access)
	if err != nil {
		return nil, err
	}
	e := &Expiry{Place: "the instance", reach: gitlab.ExpiryReach{Reach: gitlab.ReachInstance}}
	switch {
	case group != "":
		e.Place, e.reach = "group "+group, gitlab.ExpiryReach{Reach: gitlab.ReachGroup, Owner: group}
	case project != "":
		e.Place, e.reach = "project "+project, gitlab.ExpiryReach{Reach: gitlab.ReachProject, Owner: project}
	}
	if e.client, err = n.needClient(); err != nil {
		return nil, err
	}
	settings, err := e.client.ExpirySettings(ctx, e.reach)
	e.take(settings)
	return e, err
}

func (e *Expiry) take(settings []gitlab.ExpirySetting) {
	e.Settings = nil
	for i, s := range settings {
		e.Settings = append(e.Settings, ExpirySetting{expiryFor[e.reach.Reach][i], s.Key, s.Interval, s.Known})
	}
}

// Elsewhere says where settings can be seen that REST does not show; "" when it
// shows all.
func (e *Expiry) Elsewhere() string {
	if !slices.ContainsFunc(e.Settings, func(s ExpirySetting) bool { return !s.Known }) {
		return ""
	}
	if e.reach.Reach == gitlab.ReachGroup {
		return "GitLab shows and sets the token expiry of a group on the group's settings page and by GraphQL, not by REST"
	}
	return "GitLab does not show this setting to this user: it takes an administrator for the instance, a Maintainer for a project"
}

// ParseExpiry reads WHOSE=SPAN, as in project=90d or instance=never.
func (e *Expiry) ParseExpiry(text string) (ExpirySetting, error) {
	whose, span, found := strings.Cut(text, "=")
	i := slices.IndexFunc(e.Settings, func(s ExpirySetting) bool { return s.For == whose })
	if !found || i < 0 {
		return ExpirySetting{}, rekey.Errorf(rekey.KindInvalid, "%q does not name a setting of %s", text, e.Place).
			WithHint("use %s, as in %s=90d", strings.Join(expiryFor[e.reach.Reach], ", "), expiryFor[e.reach.Reach][0])
	}
	wanted := e.Settings[i]
	wanted.Interval = 0
	if span == "never" {
		return wanted, nil
	}
	var err error
	if wanted.Interval, err = fleets.ParseAge(span); err != nil {
		return wanted, err
	}
	if wanted.Interval < leastExpiry {
		return wanted, rekey.Errorf(rekey.KindInvalid, "%s: GitLab takes no less than %s", text, fleets.AgeText(leastExpiry))
	}
	return wanted, nil
}

// Set changes settings and reads them back. A setting that GitLab does not show is
// not sent: GitLab ignores what it does not know, and nobody would notice.
func (e *Expiry) Set(ctx context.Context, wanted []ExpirySetting) error {
	intervals := map[string]time.Duration{}
	for _, w := range wanted {
		if !w.Known {
			return rekey.Errorf(rekey.KindInvalid, "%s of %s cannot be set by REST", w.Key, e.Place).WithHint("%s", e.Elsewhere())
		}
		intervals[w.Key] = w.Interval.Truncate(time.Second)
	}
	settings, err := e.client.SetExpiry(ctx, e.reach, intervals)
	if err != nil {
		return err
	}
	e.take(settings)
	for _, s := range e.Settings {
		if want, asked := intervals[s.Key]; asked && (!s.Known || s.Interval != want) {
			return rekey.Errorf(rekey.KindConflict, "GitLab has %s of %s at another value than was sent", s.Key, e.Place).WithHint("look at the setting's page: this version may keep it elsewhere")
		}
	}
	return nil
}
