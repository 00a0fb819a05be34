// Package lab is a coordinator that answers gitlab-runner and API clients as
// GitLab does, in a version and profile of choice, and keeps its state in SQLite.
// It owns runner records, tokens, users, groups, projects, settings, the job
// protocol and as much CI as a canary job needs. It refuses to pass for
// production, shares no wire type with the GitLab client of this product, and
// keeps no token that a database dump could show.
//
// What differs between GitLab versions is data: the tables in feature.go,
// route.go, tokenshape.go and setting.go carry, row by row, where a fact is
// known from.
package lab
