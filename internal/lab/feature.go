package lab

import "rekey"

// provenance says where a fact about GitLab is known from.
type provenance string

const (
	fromSource        provenance = "source"        // GitLab's own code
	fromSpecification provenance = "specification" // a request or service spec of GitLab
	fromDocumentation provenance = "documentation"
	fromRunner        provenance = "runner" // what gitlab-runner sends or accepts
	unverified        provenance = "unverified"
)

// feature names one behaviour that came or went with a GitLab version.
type feature string

const (
	registrationRefusalText feature = "registration-refusal-text"
	managersREST            feature = "managers-rest"
	runnerManagerInJob      feature = "runner-manager-in-job"
	verifyTouchesCreated    feature = "verify-touches-created"
	staleAfterWeek          feature = "stale-after-week"
	runnerAddressHidden     feature = "runner-ip-hidden"
	createdFieldsInList     feature = "created-fields-in-list"
	executionStatus         feature = "job-execution-status"
	groupMaintainerReads    feature = "group-maintainer-reads"
	jobNotProcessingText    feature = "job-not-processing-text"
	traceInterval60         feature = "trace-interval-60"
	gracefulCancel          feature = "graceful-cancel"
	prefixedJobToken        feature = "prefixed-job-token"
	tokenExpiryMandatory    feature = "access-token-expiry-mandatory"
	comRegistrationOff      feature = "com-registration-off"
	unassignOwnerText       feature = "unassign-owner-text"
	assignFlatError         feature = "assign-flat-error"
	pipelineVariablesRole   feature = "pipeline-variables-role"
	comVariablesOff         feature = "com-pipeline-variables-off"
	explicitTokenExpiry     feature = "explicit-token-expiry"
	jobRateLimits           feature = "job-rate-limits"
	limitRetryAfter         feature = "limit-retry-after"
	throttleHeaders         feature = "throttle-headers"
	projectJobsLimit        feature = "project-jobs-limit"
	orphanRefusal           feature = "orphan-refusal"
	keysetRunnerJobs        feature = "keyset-runner-jobs"
	liveTrace               feature = "live-trace"
	jobTokenExpiry          feature = "job-token-expiry"
	hiddenVariables         feature = "hidden-variables"
	variableDescription     feature = "variable-description"
	tokenRotation           feature = "access-token-rotation"
	includeProjects         feature = "include-projects"
)

// featureRow bounds a feature: from since on, and before until where that is set.
type featureRow struct {
	id     feature
	since  rekey.Version
	until  rekey.Version
	from   provenance
	behave string
}

// features is what the lab does differently by version, besides routes, token
// shapes, scopes and settings, which are rows of their own tables.
var features = []featureRow{
	{registrationRefusalText, v(15, 11), never, unverified, `POST /runners with an unknown token ends " - invalid token supplied"`},
	{managersREST, v(17, 1), never, fromDocumentation, "GET /runners/:id/managers"},
	{runnerManagerInJob, v(16, 3), never, fromDocumentation, "jobs carry runner_manager"},
	{verifyTouchesCreated, v(18, 1), never, fromSpecification, "POST /runners/verify refreshes contact times of created runners too"},
	{staleAfterWeek, v(18, 0), never, unverified, "stale after 7 days, before after 3 months"},
	{runnerAddressHidden, v(17, 0), never, fromSpecification, "ip_address of a runner is null"},
	{createdFieldsInList, v(18, 0), never, fromSource, "created_at and created_by in runner entities"},
	{executionStatus, v(17, 2), never, unverified, "job_execution_status in runner entities"},
	{groupMaintainerReads, v(16, 4), never, fromDocumentation, "Maintainers list a group's runners, before Owners only"},
	{jobNotProcessingText, v(17, 0), never, fromSource, `"Job is not processing on runner", before "Job is not running"`},
	{traceInterval60, v(16, 0), never, unverified, "X-GitLab-Trace-Update-Interval of an unwatched job is 60, before 30"},
	{gracefulCancel, v(17, 0), never, fromSpecification, "canceling for runners that declare cancel_gracefully"},
	{prefixedJobToken, v(16, 9), never, fromDocumentation, "job tokens begin glcbt-"},
	{tokenExpiryMandatory, v(16, 0), never, fromDocumentation, "personal access tokens expire after a year unless told sooner"},
	{comRegistrationOff, v(17, 0), never, fromDocumentation, "profile gitlab.com: registration tokens are off"},
	{unassignOwnerText, v(17, 0), never, unverified, "the newer text for the owner project in DELETE /projects/:id/runners/:runner_id"},
	{assignFlatError, v(16, 0), never, unverified, "a refused assignment answers a flat message, before an object"},
	{pipelineVariablesRole, v(17, 1), never, fromDocumentation, "ci_pipeline_variables_minimum_override_role"},
	{comVariablesOff, v(18, 0), never, unverified, "profile gitlab.com: in new namespaces nobody may set pipeline variables"},
	{explicitTokenExpiry, v(18, 10), never, unverified, "token_expires_at and token_rotation_deadline of POST /user/runners; without a licence GitLab may ignore them"},
	{jobRateLimits, v(18, 5), never, fromSource, "runner_jobs_*_api_limit of the job endpoints"},
	{limitRetryAfter, v(18, 0), never, unverified, "Retry-After: 60 with the application limiter's 429"},
	{throttleHeaders, v(17, 0), never, unverified, "RateLimit-* headers on every throttled endpoint's answer, before only with 429"},
	{projectJobsLimit, v(16, 5), never, fromDocumentation, "GET /projects/:id/jobs is limited by user and minute"},
	{orphanRefusal, v(17, 8), v(19, 0), fromSpecification, "an orphaned runner is told so, 403 or 422"},
	{keysetRunnerJobs, v(16, 0), never, unverified, "keyset pagination of GET /runners/:id/jobs"},
	{liveTrace, v(17, 11), never, fromDocumentation, "ci_job_live_trace_enabled lets a final PUT answer 202 first"},
	{jobTokenExpiry, v(18, 0), never, unverified, `403 "Job token has expired" once the job's timeout is long over`},
	{hiddenVariables, v(17, 4), never, fromDocumentation, "masked_and_hidden of variables"},
	{variableDescription, v(16, 2), never, fromDocumentation, "description of variables"},
	{tokenRotation, v(16, 0), never, fromDocumentation, "rotation of personal, project and group access tokens"},
	{includeProjects, v(18, 6), never, unverified, "include_projects=false of GET /runners/:id"},
}

var never rekey.Version

func v(major, minor int) rekey.Version { return rekey.Version{Major: major, Minor: minor} }

// within reports whether version is in [since, until).
func within(version, since, until rekey.Version) bool {
	return version.AtLeast(since.Major, since.Minor) && (until.IsZero() || !version.AtLeast(until.Major, until.Minor))
}

// has reports whether the lab's version has the feature.
func (s *Server) has(id feature) bool { return featureAt(id, s.version) }

func featureAt(id feature, version rekey.Version) bool {
	for _, row := range features {
		if row.id == id {
			return within(version, row.since, row.until)
		}
	}
	return false
}
