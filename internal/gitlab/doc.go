// Package gitlab speaks to a GitLab: it asks about runner tokens (Prober), works
// on records as a user (Client), keeps the request budget (Budget), and holds
// the table of what each GitLab version accepts (Feature). It owns HTTP statuses,
// GitLab's error envelopes and their meaning. It refuses to follow a redirect, to
// send a credential anywhere but to the URL it was given for, to repeat anything
// that changes state, and to judge: an Answer is evidence, not a verdict.
package gitlab
