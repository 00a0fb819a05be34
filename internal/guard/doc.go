// Package guard remembers which runners worked, and says after an upgrade, a
// restore or the loss of secrets which no longer do: it owns the snapshot, its
// keyed marks of tokens, and the comparison of two snapshots. It does no I/O and
// refuses to know a token: a mark cannot be made without the key, so a snapshot
// that gets into wrong hands tests no guess.
package guard
