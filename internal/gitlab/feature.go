package gitlab

import "rekey"

// Feature is something that GitLab versions differ in.
type Feature string

// The features that rekey asks about.
const (
	FeatureCreateRunner     Feature = "create-runner"      // POST /user/runners
	FeatureManagers         Feature = "managers"           // GET /runners/:id/managers
	FeatureScopeCreate      Feature = "scope-create"       // the scope create_runner
	FeatureScopeManage      Feature = "scope-manage"       // the scope manage_runner
	FeatureMetadata         Feature = "metadata"           // GET /metadata
	FeatureDeleteManager    Feature = "delete-manager"     // DELETE /runners/managers
	FeatureJobManager       Feature = "job-manager"        // runner_manager in a job
	FeatureRegistrationOff  Feature = "registration-off"   // allow_runner_registration_token and 410
	FeatureJobExecution     Feature = "job-execution"      // job_execution_status of a runner
	FeatureDiscovery        Feature = "discovery"          // GET /runners/router/discovery
	FeatureTokenExpiryInput Feature = "token-expiry-input" // token_expires_at of POST /user/runners
	FeatureJobsRateLimit    Feature = "jobs-rate-limit"    // 429 of POST /jobs/request per token
)

// FeatureRow says since when a feature is there and who says so.
type FeatureRow struct {
	Feature Feature
	Since   rekey.Version
	Source  string
}

// featureRows is data, not code: an entry changes when GitLab's documentation
// does. Servers are asked where they can be: flags and tiers vary within one
// version.
var featureRows = []FeatureRow{
	{FeatureMetadata, rekey.Version{Major: 15, Minor: 2}, "doc/api/metadata history note"},
	{FeatureCreateRunner, rekey.Version{Major: 15, Minor: 11}, "doc/api/users, create a runner linked to a user; behind flags until 16.0"},
	{FeatureRegistrationOff, rekey.Version{Major: 15, Minor: 11}, "lib/api/ci/runner.rb, POST /runners; admin checkbox from 16.11"},
	{FeatureScopeCreate, rekey.Version{Major: 15, Minor: 11}, "doc/user/profile/personal_access_tokens, scopes"},
	{FeatureDeleteManager, rekey.Version{Major: 16, Minor: 0}, "lib/api/ci/runner.rb, DELETE /runners/managers"},
	{FeatureJobManager, rekey.Version{Major: 16, Minor: 3}, "doc/api/jobs, runner_manager"},
	{FeatureScopeManage, rekey.Version{Major: 17, Minor: 1}, "doc/user/profile/personal_access_tokens, scopes"},
	{FeatureManagers, rekey.Version{Major: 17, Minor: 1}, "doc/api/runners, list a runner's managers; example of 2024-06"},
	{FeatureJobExecution, rekey.Version{Major: 17, Minor: 2}, "lib/api/entities/ci/runner.rb; 17.x, minor not confirmed"},
	{FeatureJobsRateLimit, rekey.Version{Major: 18, Minor: 5}, "doc/api/settings, runner_jobs_request_api_limit"},
	{FeatureDiscovery, rekey.Version{Major: 18, Minor: 7}, "doc/api/runners, job router discovery; flags off by default"},
	{FeatureTokenExpiryInput, rekey.Version{Major: 18, Minor: 10}, "doc/api/users, Premium and Ultimate"},
}

// Features returns the whole table, oldest first.
func Features() []FeatureRow { return append([]FeatureRow(nil), featureRows...) }

// Since returns the first version with f; ok is false for a feature that is not
// in the table.
func Since(f Feature) (v rekey.Version, ok bool) {
	for _, row := range featureRows {
		if row.Feature == f {
			return row.Since, true
		}
	}
	return rekey.Version{}, false
}

// Has reports whether a server of version v has f by the table; known is false
// when the version or the feature is unknown.
func Has(v rekey.Version, f Feature) (has, known bool) {
	since, ok := Since(f)
	if !ok || v.IsZero() {
		return false, false
	}
	return v.AtLeast(since.Major, since.Minor), true
}
