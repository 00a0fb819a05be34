// Package durable makes acts that survive a crash: safe replacement of a file
// that another process may write too, atomic creation, an append-only log, a
// lock that dies with its holder.
//
// It owns the crash points. Every act of rekey that changes something outside
// the process goes through [Call], which passes one named [Point] before and one
// after. Tests run the real binary with
//
//	REKEY_CRASH_LOG=FILE  append "N name" to FILE at the N-th point
//	REKEY_CRASH_AT=N      die by SIGKILL at the N-th point
//
// and so learn how many points a run has and what is left behind at each. The
// variables only ever end the process or name its steps: they open no door, and
// without them a point costs one comparison.
//
// It refuses to know what a file means, to retry, and to leave a second copy of
// a file with tokens behind: see [CleanStale].
package durable
