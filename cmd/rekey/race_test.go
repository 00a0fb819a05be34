//go:build race

package main_test

// raced: the test binary carries the race detector, and so does the binary that
// it drives.
const raced = true
