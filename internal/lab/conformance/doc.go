// Package conformance holds, row by row, what is known of GitLab's behaviour
// towards runners and their administrators, and proves it on the lab in several
// versions. It owns the rows, what they are known from, and the rule that every
// one of them has a case; the cases are its tests. It refuses a row that does
// not say where it is known from, and a case for a row that is only a guess.
package conformance
