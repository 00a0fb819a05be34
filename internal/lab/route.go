package lab

import (
	"maps"
	"net/http"
	"slices"

	"rekey"
)

// routeTable is the API below /api/v4. A row without since is in every version
// that the lab can be.
func routeTable(version rekey.Version) []route {
	return slices.Concat(tokenRoutes(), runnerRoutes(), accountRoutes(version), instanceRoutes(version), accessTokenRoutes(), variableRoutes(), placeRoutes(), ciRoutes())
}

const (
	get   = http.MethodGet
	post  = http.MethodPost
	put   = http.MethodPut
	del   = http.MethodDelete
	patch = http.MethodPatch
)

// tokenRoutes are those that a runner's or a job's own token opens.
func tokenRoutes() []route {
	return []route{
		{method: post, pattern: "runners", from: fromSource, access: machine, params: registerParams, handle: postRunner},
		{method: del, pattern: "runners", from: fromSource, access: machine, params: tokenParams, handle: deleteByToken},
		{method: post, pattern: "runners/verify", from: fromSource, access: machine, params: verifyParams, handle: postVerify},
		{method: del, pattern: "runners/managers", since: v(16, 0), from: fromSource, access: machine, params: deleteManagerParams, handle: deleteManager},
		{method: post, pattern: "runners/reset_authentication_token", from: fromSource, access: machine, params: tokenParams, handle: resetByToken},
		{method: get, pattern: "runners/router/discovery", since: v(18, 7), from: fromSource, access: machine, handle: getDiscovery},
		{method: post, pattern: "jobs/request", from: fromSource, access: machine, params: requestParams, limit: limitJobRequest, handle: postJobRequest},
		{method: put, pattern: "jobs/:id", from: fromSource, access: machine, params: updateJobParams, limit: limitJobEndpoints, handle: putJob},
		{method: patch, pattern: "jobs/:id/trace", from: fromSource, access: machine, limit: limitPatchTrace, handle: patchTrace},
		{method: post, pattern: "jobs/:id/artifacts/authorize", from: fromSpecification, access: machine, handle: authorizeArtifact},
		{method: post, pattern: "jobs/:id/artifacts", from: fromSource, access: machine, params: artifactParams, limit: limitJobEndpoints, handle: postArtifact},
		{method: get, pattern: "jobs/:id/runtime_environment_key", since: v(19, 0), from: fromSpecification, access: machine, handle: getEnvironmentKey},
		{method: get, pattern: "jobs/:id/artifacts", from: fromSource, access: machine, params: downloadParams, limit: limitJobEndpoints, handle: downloadArtifact},
		{method: get, pattern: "job", from: fromDocumentation, access: machine, handle: getJobOfToken},
	}
}

// runnerRoutes are those about runner records that a user's token opens.
func runnerRoutes() []route {
	return []route{
		{method: post, pattern: "user/runners", since: v(15, 11), from: fromSource, access: runnerCreation, params: createRunnerParams, handle: postUserRunner},
		{method: get, pattern: "runners", from: fromSource, params: listParams, handle: getRunners},
		{method: get, pattern: "runners/all", from: fromSource, params: listParams, handle: getAllRunners},
		{method: get, pattern: "runners/:id", from: fromSource, access: runnerManagement, params: takes(may("include_projects", boolean)), handle: getRunner},
		{method: put, pattern: "runners/:id", from: fromSource, access: runnerManagement, params: updateRunnerParams, handle: putRunner},
		{method: del, pattern: "runners/:id", from: fromSource, access: runnerManagement, handle: deleteRunnerByID},
		{method: get, pattern: "runners/:id/jobs", from: fromSource, access: runnerManagement, params: runnerJobs, handle: getRunnerJobs},
		{method: get, pattern: "runners/:id/managers", since: v(17, 1), from: fromDocumentation, access: runnerManagement, handle: getManagers},
		{method: get, pattern: "runners/:id/projects", since: v(18, 0), from: fromSource, access: runnerManagement, handle: getRunnerProjects},
		{method: post, pattern: "runners/:id/reset_authentication_token", from: fromSource, access: runnerManagement, handle: resetByID},
		{method: post, pattern: "runners/reset_registration_token", from: fromSource, handle: resetInstanceRegistration},
		{method: post, pattern: "groups/:id/runners/reset_registration_token", from: fromSource, handle: resetGroupRegistration},
		{method: post, pattern: "projects/:id/runners/reset_registration_token", from: fromSource, handle: resetProjectRegistration},
		{method: get, pattern: "projects/:id/runners", from: fromSource, params: listParams, handle: getProjectRunners},
		{method: post, pattern: "projects/:id/runners", from: fromSource, access: assignment, params: assignParams, handle: postProjectRunner},
		{method: del, pattern: "projects/:id/runners/:runner_id", from: fromSource, access: assignment, handle: deleteProjectRunner},
		{method: get, pattern: "groups/:id/runners", from: fromSource, params: takes(filterParams...), handle: getGroupRunners},
	}
}

// accountRoutes are users, their tokens, the instance and its settings.
func accountRoutes(version rekey.Version) []route {
	search := takes(may("search", text), may("username", text))
	return []route{
		{method: get, pattern: "version", from: fromSource, access: userInfo, handle: getMetadata},
		{method: get, pattern: "metadata", since: v(15, 2), from: fromSource, access: userInfo, handle: getMetadata},
		{method: get, pattern: "application/settings", from: fromSource, handle: getSettings},
		{method: put, pattern: "application/settings", from: fromSource, params: settingParams(version), handle: putSettings},
		{method: get, pattern: "user", from: fromDocumentation, access: userInfo, handle: getSelf},
		{method: get, pattern: "users", from: fromDocumentation, access: userInfo, params: search, handle: getUsers},
		{method: post, pattern: "users", from: fromDocumentation, params: createUserParams, handle: postUser},
		{method: get, pattern: "users/:id", from: fromDocumentation, access: userInfo, handle: getUser},
		{method: del, pattern: "users/:id", from: fromDocumentation, handle: deleteUser},
		{method: post, pattern: "users/:user_id/personal_access_tokens", from: fromDocumentation, params: createAccessTokenParams, handle: postAccessToken},
		{method: get, pattern: "personal_access_tokens", from: fromDocumentation, params: takes(may("user_id", integer)), handle: getAccessTokens},
		// every scope may read about its own token, or nobody could name the one that lacks
		{method: get, pattern: "personal_access_tokens/self", from: fromDocumentation, access: anyScope, handle: getAccessTokenSelf},
		{method: del, pattern: "personal_access_tokens/self", from: fromDocumentation, access: anyScope, handle: deleteAccessToken},
		{method: del, pattern: "personal_access_tokens/:id", from: fromDocumentation, handle: deleteAccessToken},
	}
}

// placeRoutes are groups, projects, members and repository files.
func placeRoutes() []route {
	lists := takes(may("search", text), may("top_level_only", boolean), may("owned", boolean), may("membership", boolean), may("include_subgroups", boolean))
	routes := []route{
		{method: get, pattern: "groups", from: fromDocumentation, params: lists, handle: getGroups},
		{method: post, pattern: "groups", from: fromDocumentation, params: createGroupParams, handle: postGroup},
		{method: get, pattern: "groups/:id", from: fromDocumentation, handle: getGroup},
		{method: put, pattern: "groups/:id", from: fromDocumentation, params: groupParams.and(may("name", text)), handle: putGroup},
		{method: del, pattern: "groups/:id", from: fromDocumentation, handle: deleteGroup},
		{method: get, pattern: "groups/:id/projects", from: fromDocumentation, params: lists, handle: getGroupProjects},
		{method: get, pattern: "projects", from: fromDocumentation, params: lists, handle: getProjects},
		{method: post, pattern: "projects", from: fromDocumentation, params: createProjectParams, handle: postProject},
		{method: get, pattern: "projects/:id", from: fromDocumentation, handle: getProject},
		{method: put, pattern: "projects/:id", from: fromDocumentation, params: projectParams, handle: putProject},
		{method: post, pattern: "projects/:id/archive", from: fromDocumentation, handle: postArchive},
		{method: post, pattern: "projects/:id/unarchive", from: fromDocumentation, handle: postUnarchive},
		{method: put, pattern: "projects/:id/transfer", from: fromDocumentation, params: transferParams, handle: transferProject},
		{method: del, pattern: "projects/:id", from: fromDocumentation, handle: deleteProject},
		{method: get, pattern: "projects/:id/repository/commits", from: fromDocumentation, params: takes(may("ref_name", text)), handle: getCommits},
		{method: post, pattern: "projects/:id/repository/commits", from: fromDocumentation, params: commitParams, handle: postCommit},
		{method: get, pattern: "projects/:id/repository/commits/:sha", from: fromDocumentation, handle: getCommit},
		{method: get, pattern: "projects/:id/repository/branches/:branch", from: fromDocumentation, handle: getBranch},
		{method: get, pattern: "projects/:id/repository/branches", from: fromDocumentation, handle: getBranches},
		{method: get, pattern: "projects/:id/repository/files/:file_path", from: fromDocumentation, params: refParams, handle: getFile},
		{method: get, pattern: "projects/:id/repository/files/:file_path/raw", from: fromDocumentation, params: refParams, handle: getRawFile},
		{method: post, pattern: "projects/:id/repository/files/:file_path", from: fromDocumentation, params: writeFileParams, handle: postFile},
		{method: put, pattern: "projects/:id/repository/files/:file_path", from: fromDocumentation, params: writeFileParams, handle: putFile},
		{method: del, pattern: "projects/:id/repository/files/:file_path", from: fromDocumentation, params: deleteFileParams, handle: deleteFile},
	}
	for _, kind := range []string{"project", "group"} {
		routes = append(routes, memberRoutes(kind)...)
	}
	return routes
}

func memberRoutes(kind string) []route {
	base := kind + "s/:id/members"
	return []route{
		{method: get, pattern: base, from: fromDocumentation, handle: listMembers(kind)},
		{method: get, pattern: base + "/all", from: fromDocumentation, handle: listAllMembers(kind)},
		{method: post, pattern: base, from: fromDocumentation, params: takes(need("user_id", integer), need("access_level", integer)), handle: postMember(kind)},
		{method: get, pattern: base + "/:user_id", from: fromDocumentation, handle: getMember(kind)},
		{method: put, pattern: base + "/:user_id", from: fromDocumentation, params: takes(need("access_level", integer)), handle: putMember(kind)},
		{method: del, pattern: base + "/:user_id", from: fromDocumentation, handle: deleteMember(kind)},
	}
}

// ciRoutes are pipelines and jobs as users see them.
func ciRoutes() []route {
	return []route{
		{method: post, pattern: "projects/:id/pipeline", from: fromSource, params: createPipelineParams, handle: postPipeline},
		{method: get, pattern: "projects/:id/pipelines", from: fromDocumentation, params: listPipelineParams, handle: getPipelines},
		{method: get, pattern: "projects/:id/pipelines/:pipeline_id", from: fromDocumentation, handle: getPipeline},
		{method: del, pattern: "projects/:id/pipelines/:pipeline_id", from: fromDocumentation, handle: deletePipeline},
		{method: get, pattern: "projects/:id/pipelines/:pipeline_id/jobs", from: fromDocumentation, params: scopeParams, handle: getPipelineJobs},
		{method: get, pattern: "projects/:id/pipelines/:pipeline_id/variables", from: fromDocumentation, handle: getPipelineVariables},
		{method: post, pattern: "projects/:id/pipelines/:pipeline_id/cancel", from: fromDocumentation, handle: cancelPipeline},
		{method: get, pattern: "projects/:id/jobs", from: fromDocumentation, params: scopeParams, handle: getProjectJobs},
		{method: get, pattern: "projects/:id/jobs/:job_id", from: fromDocumentation, handle: getJob},
		{method: get, pattern: "projects/:id/jobs/:job_id/trace", from: fromDocumentation, handle: getTrace},
		{method: get, pattern: "projects/:id/jobs/:job_id/artifacts", from: fromDocumentation, handle: getArtifacts},
		{method: post, pattern: "projects/:id/jobs/:job_id/cancel", from: fromDocumentation, handle: postCancel},
		{method: post, pattern: "projects/:id/jobs/:job_id/retry", from: fromDocumentation, handle: postRetry},
		{method: post, pattern: "projects/:id/jobs/:job_id/play", from: fromDocumentation, handle: postPlay},
		{method: post, pattern: "projects/:id/jobs/:job_id/erase", from: fromDocumentation, handle: postErase},
		{method: post, pattern: "projects/:id/ci/lint", from: fromDocumentation, params: lintParams, handle: postLint},
		{method: get, pattern: "projects/:id/ci/lint", from: fromDocumentation, params: lintRefParams, handle: getLint},
		{method: post, pattern: "ci/lint", until: v(16, 0), from: fromDocumentation, params: lintParams, handle: postInstanceLint},
		{method: get, pattern: "projects/:id/triggers", from: fromDocumentation, handle: getTriggers},
		{method: get, pattern: "projects/:id/triggers/:trigger_id", from: fromDocumentation, handle: getTrigger},
		{method: put, pattern: "projects/:id/triggers/:trigger_id", from: fromDocumentation, params: takes(may("description", text)), handle: putTrigger},
		{method: del, pattern: "projects/:id/triggers/:trigger_id", from: fromDocumentation, handle: deleteTrigger},
		{method: post, pattern: "projects/:id/ref/:ref/trigger/pipeline", from: fromDocumentation, access: anyone, params: takes(need("token", text), may("variables", hash)), handle: postTriggerPipeline},
		{method: post, pattern: "projects/:id/triggers", from: fromDocumentation, params: takes(need("description", text)), handle: postTrigger},
		{method: post, pattern: "projects/:id/trigger/pipeline", from: fromDocumentation, access: anyone, params: triggerParams, handle: postTriggerPipeline},
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
