package lab

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"rekey"
)

// limitRow is one key of GET and PUT /application/plan_limits; 0 is no limit.
type limitRow struct {
	name    string
	since   rekey.Version
	initial int64
	from    provenance
}

const (
	limitGroupRunners   = "ci_registered_group_runners"
	limitProjectRunners = "ci_registered_project_runners"
	limitTrace          = "ci_jobs_trace_size_limit"
	limitArtifact       = "ci_max_artifact_size_archive"
	limitVariables      = "ci_instance_level_variables"
)

var limitTable = []limitRow{
	{limitVariables, v(17, 0), 25, fromDocumentation},
	{"ci_pipeline_size", never, 0, fromDocumentation},
	{"ci_active_jobs", never, 0, fromDocumentation},
	{"ci_project_subscriptions", never, 2, fromDocumentation},
	{"ci_pipeline_schedules", never, 10, fromDocumentation},
	{"ci_needs_size_limit", never, 50, fromDocumentation},
	{limitGroupRunners, never, 1000, fromDocumentation},
	{limitProjectRunners, never, 1000, fromDocumentation},
	{"dotenv_size", v(17, 1), 5120, fromDocumentation},
	{"dotenv_variables", v(17, 1), 20, fromDocumentation},
	{"conan_max_file_size", never, 3221225472, fromDocumentation},
	{"enforcement_limit", v(16, 2), 0, unverified},
	{"generic_packages_max_file_size", never, 5368709120, fromDocumentation},
	{"helm_max_file_size", never, 5242880, fromDocumentation},
	{"notification_limit", v(16, 2), 0, unverified},
	{"maven_max_file_size", never, 3221225472, fromDocumentation},
	{"npm_max_file_size", never, 524288000, fromDocumentation},
	{"nuget_max_file_size", never, 524288000, fromDocumentation},
	{"pypi_max_file_size", never, 3221225472, fromDocumentation},
	{"terraform_module_max_file_size", never, 1073741824, fromDocumentation},
	{"storage_size_limit", never, 0, unverified},
	// GitLab keeps these two out of REST in some versions; the lab shows them.
	{limitTrace, never, 100, unverified},
	{limitArtifact, never, 0, unverified},
}

// limits is an immutable picture of the plan limits in force.
type limits map[string]int64

func (t *tx) loadLimits() (limits, error) {
	all := limits{}
	for _, row := range limitTable {
		all[row.name] = row.initial
	}
	stored, err := rows(t, func(sc scanner) (limitRow, error) {
		var row limitRow
		err := sc.Scan(&row.name, &row.initial)
		return row, err
	}, "SELECT name, value FROM plan_limits")
	for _, row := range stored {
		all[row.name] = row.initial
	}
	return all, err
}

// limit returns a plan limit, 0 for none.
func (s *Server) limit(name string) int64 { return (*s.cachedLimits.Load())[name] }

func (s *Server) limitsBody(all limits) map[string]any {
	body := map[string]any{}
	for _, row := range limitTable {
		if within(s.version, row.since, never) {
			body[row.name] = all[row.name]
		}
	}
	if s.version.AtLeast(16, 2) {
		body["limits_history"] = map[string]any{}
	}
	return body
}

// planNames are the plans that one may name; all share one set of limits.
var planNames = []string{"default", "free", "bronze", "silver", "premium", "gold", "ultimate", "ultimate_trial", "premium_trial", "opensource"}

func limitParams(version rekey.Version) paramSet {
	set := takes(need("plan_name", text, planNames...))
	for _, row := range limitTable {
		if within(version, row.since, never) {
			set.params = append(set.params, may(row.name, integer))
		}
	}
	return set
}

func getLimits(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	return ok(c.limitsBody(*c.cachedLimits.Load()))
}

func putLimits(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	next := maps.Clone(*c.cachedLimits.Load())
	wrong := map[string][]string{}
	for _, row := range limitTable {
		n, given := c.number(row.name)
		if !given {
			continue
		}
		if n < 0 {
			wrong[row.name] = []string{"must be greater than or equal to 0"}
		}
		next[row.name] = n
		if err := c.exec("INSERT INTO plan_limits (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", row.name, n); err != nil {
			return answer{}, err
		}
	}
	switch {
	case len(wrong) > 0:
		return answer{}, &refusal{status: http.StatusBadRequest, body: messageBody{wrong}}
	case len(c.params) == 1:
		names := slices.DeleteFunc(each(limitParams(c.version).params, func(p param) string { return p.name }), func(name string) bool { return name == "plan_name" })
		return answer{}, grape(http.StatusBadRequest, atLeastOneText(names))
	}
	c.onCommit(func() { c.cachedLimits.Store(&next) })
	return ok(c.limitsBody(next))
}

// quotaRow is a plan limit on runners: whose they are, how they are counted, and
// how a model error names the association that is too much.
type quotaRow struct {
	limit, counted, attribute, label, text string
}

var quotas = map[string]quotaRow{
	groupType: {limit: limitGroupRunners, counted: "runners r WHERE r.group_id = ?", attribute: "runner_namespaces.base",
		label: "Runner namespaces base", text: "Maximum number of ci registered group runners (%d) exceeded"},
	projectType: {limit: limitProjectRunners, counted: "runners r JOIN runner_projects p ON p.runner_id = r.id WHERE p.project_id = ?", attribute: "runner_projects.base",
		label: "Runner projects base", text: "Maximum number of ci registered project runners (%d) exceeded"},
}

// overQuota is the model error of one more runner for a group or project that
// has its plan's number of them. Only runners made or in contact within the
// stale window count, so that abandoned ones free their place.
func (t *tx) overQuota(kind string, owner int64) ([]attributeError, error) {
	row, limited := quotas[kind]
	if !limited {
		return nil, nil
	}
	most, since := t.limit(row.limit), at(t.now.Add(-t.staleAfter()))
	var have int64
	err := t.value(&have, "SELECT count(*) FROM "+row.counted+" AND (r.created_at > ? OR coalesce(r.contacted_at, 0) > ?)", owner, since, since)
	if err != nil || most == 0 || have < most {
		return nil, err
	}
	return []attributeError{{row.attribute, row.label, fmt.Sprintf(row.text, most)}}, nil
}

// quotaOwner is whose limit a new runner counts against.
func quotaOwner(r *runner, project int64) int64 {
	if r.Type == groupType {
		return r.GroupID
	}
	return project
}
