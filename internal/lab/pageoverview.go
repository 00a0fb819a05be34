package lab

import (
	"net/http"
	"net/url"

	"rekey"
)

type overviewView struct {
	URL          string
	Revision     string
	Registration bool
	Maintenance  bool
	Message      string
	Counts       []statusCount
	Jobs         []jobEntity
}

type statusCount struct{ Status, Count string }

func showOverview(p *visit) error {
	about, err := ask[metadata](p, "version", nil)
	if err != nil {
		return err
	}
	set := p.settings()
	view := overviewView{URL: p.baseURL(p.r), Revision: about.Revision, Registration: set.flag("allow_runner_registration_token"),
		Maintenance: set.flag("maintenance_mode"), Message: set.text("maintenance_mode_message")}
	for _, status := range []string{"online", "offline", "never_contacted", "stale", "paused"} {
		header := http.Header{}
		if _, err := askRow[[]runnerDetail](p, &pageRunnersRow, nil, url.Values{"status": {status}, "per_page": {"1"}}, header); err != nil {
			return err
		}
		view.Counts = append(view.Counts, statusCount{status, header.Get("X-Total")})
	}
	if view.Jobs, err = askRow[[]jobEntity](p, &pageJobsRow, nil, url.Values{"per_page": {"10"}}, nil); err != nil {
		return err
	}
	p.show(http.StatusOK, "overview", pageView{Title: "Overview", Body: view})
	return nil
}

// acceptedRow is one row of any of the tables of what a version does.
type acceptedRow struct {
	Name, Behave string
	Here         bool
	Since, Until string
	From         provenance
}

type acceptedView struct {
	Registration             bool
	CreatedExample           string
	CreatedFrom              provenance
	RegisteredExample        string
	RegisteredFrom           provenance
	Features, Routes, Scopes []acceptedRow
	Total, Unverified        int
	MissingRoutes            int
}

// showAccepted shows the tables that the lab answers by, as they apply to its
// version, with where each row is known from.
func showAccepted(p *visit) error {
	made, registered := shapeFor(p.version, byUser), shapeFor(p.version, byRegistration)
	view := acceptedView{Registration: p.settings().flag("allow_runner_registration_token"), CreatedExample: made.example(), CreatedFrom: made.from,
		RegisteredExample: registered.example(), RegisteredFrom: registered.from}
	for _, f := range features {
		view.Features = append(view.Features, acceptedRow{string(f.id), f.behave, within(p.version, f.since, f.until), shortVersion(f.since), shortVersion(f.until), f.from})
	}
	for _, r := range routeTable(p.version) {
		here := within(p.version, r.since, never)
		view.Routes = append(view.Routes, acceptedRow{Name: r.id(), Here: here, Since: shortVersion(r.since), From: r.from})
		if !here {
			view.MissingRoutes++
		}
	}
	for _, s := range scopeTable {
		view.Scopes = append(view.Scopes, acceptedRow{Name: s.name, Here: within(p.version, s.since, never), Since: shortVersion(s.since), From: s.from})
	}
	for _, rows := range [][]acceptedRow{view.Features, view.Routes, view.Scopes} {
		for _, row := range rows {
			view.Total++
			if row.From == unverified {
				view.Unverified++
			}
		}
	}
	p.show(http.StatusOK, "accepted", pageView{Title: "What this version accepts", Body: view})
	return nil
}

// example is how a token of the shape looks, without being one.
func (r shapeRow) example() string {
	switch r.form {
	case shapeTyped:
		return r.prefix + "tN_… (20 characters)"
	case shapeRoutable:
		return r.prefix + "….01.… (payload, length and CRC-32)"
	}
	return r.prefix + "… (20 characters)"
}

// shortVersion is empty for a bound that does not matter.
func shortVersion(v rekey.Version) string {
	if v.IsZero() {
		return ""
	}
	return formatInt(int64(v.Major)) + "." + formatInt(int64(v.Minor))
}
