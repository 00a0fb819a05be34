// Package matrix plants every cause that doctor tells apart, each alone, in labs
// of several GitLab versions, and compares what doctor answers with what was
// written down before. It owns the scenarios, the table of what is expected, and
// the page docs/matrix.md. It refuses to know how a diagnosis is made: planters
// write configs, logs and a host's surroundings and act on the lab, and what
// doctor says is read from the JSON that it prints.
package matrix
