// Package upgrade judges the facts of a diagnosis as a GitLab to come would: what
// breaks, what is deprecated, what is fine. It owns which facts meet which row of
// fleet's version table, and refuses to say "breaks" of anything that was not read:
// a switch that nobody looked at may stand either way.
package upgrade
