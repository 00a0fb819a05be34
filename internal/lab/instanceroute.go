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
	}
}
