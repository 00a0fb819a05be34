//go:build !race

package main_test

// raced: the test binary carries no race detector, nor does the binary that it
// drives.
const raced = false
