package matrix

// twoScenarios are two causes at once.
var twoScenarios []Scenario
