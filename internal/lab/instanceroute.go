package lab

import "rekey"

// instanceRoutes are what administrators switch beside the settings.
func instanceRoutes(version rekey.Version) []route {
	return []route{
		{method: get, pattern: "application/plan_limits", from: fromDocumentation, params: takes(may("plan_name", text, planNames...)), handle: getLimits},
		{method: put, pattern: "application/plan_limits", from: fromDocumentation, params: limitParams(version), handle: putLimits},
		{method: get, pattern: "features", from: fromDocumentation, handle: getFlags},
		{method: get, pattern: "features/definitions", from: fromDocumentation, handle: getFlagDefinitions},
		{method: post, pattern: "features/:name", from: fromDocumentation, params: setFlagParams, handle: postFlag},
		{method: del, pattern: "features/:name", from: fromDocumentation, handle: deleteFlag},
		{method: get, pattern: "audit_events", from: fromDocumentation, params: auditParams, handle: getAuditEvents},
		{method: get, pattern: "audit_events/:audit_event_id", from: fromDocumentation, handle: getAuditEvent},
		{method: get, pattern: "groups/:id/audit_events", from: fromDocumentation, params: auditParams, handle: getGroupAudit},
		{method: get, pattern: "projects/:id/audit_events", from: fromDocumentation, params: auditParams, handle: getProjectAudit},
	}
}
