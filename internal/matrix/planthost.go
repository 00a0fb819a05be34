package matrix

// hostScenarios are what the host and its logs show.
var hostScenarios []Scenario
