package matrix

// serverScenarios are what the GitLab itself does.
var serverScenarios []Scenario
