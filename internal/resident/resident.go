// Package resident is how a process that stays hands back what only its start
// needed. It owns the settings of the collector of such a process and the pages of
// its own program; it refuses to be told of any other process.
package resident

import "runtime/debug"

// gcPercent is how far the heap of a waiting process may grow between two
// collections: it is small, and hardly ever collected.
const gcPercent = 50

// Settle is called when a process that stays has started, and whenever it will wait
// for long after some work. It collects garbage, returns free memory to the system,
// and lets go of the pages of the program that were touched; what is needed again
// is mapped again from the page cache, without a copy.
func Settle() {
	debug.SetGCPercent(gcPercent)
	debug.FreeOSMemory()
	release()
}
