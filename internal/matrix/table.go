package matrix

import "slices"

// Scenarios is the whole table. What has to come out is written beside each
// planter, before anything runs. To add one: put a Scenario with its planter into
// the file of its group (plantlegacy.go: registration tokens; plantfile.go: the
// config's text; plantrecord.go: GitLab's record; plantserver.go: the GitLab itself; planthost.go: the host and
// its logs; planttwo.go: two causes at once), give each version and looker a
// cell, and run `make matrix`.
func Scenarios() []Scenario {
	return slices.Concat(healthyScenarios, legacyScenarios, fileScenarios, recordScenarios, serverScenarios, hostScenarios, twoScenarios)
}

// Causes are the 28 that doctor tells apart, in the order of the page.
var Causes = []string{
	"legacy-registration-disabled", "registration-token-in-config", "runner-token-in-legacy-field", "reserved-arguments",
	"record-deleted", "rotated-elsewhere", "token-expired", "rotation-not-saved", "environment-reference", "malformed-token",
	"wrong-instance", "wrong-scope", "online-but-idle", "unhealthy-window", "duplicate-token", "cloned-system-id",
	"server-restored", "version-skew", "not-propagated", "rate-limited", "unreachable", "other-config-in-force",
	"reload-missed", "rotation-not-scheduled", "shared-token", "server-read-only", "runner-orphaned", "unexpected-answer",
}
