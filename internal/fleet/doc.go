// Package fleet judges runner records as one GitLab shows them: who is offline,
// stale, never seen, about to expire, registered the old way, without an owner or
// a rotation date; which records a prune may delete; and how the versions of
// server and managers go together. It also owns the ledger of owners,
// runners.owners.yaml, as text in and text out. Everything here is a pure function
// of facts and a moment. It refuses to ask GitLab, to touch a file, to read a
// clock, and to guess: what GitLab does not say is unknown, with the reason.
package fleet
