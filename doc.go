// Package rekey is the vocabulary of the product: runner, token, scope, answer,
// finding, plan, journal and error. It owns the words and the rules that need no
// I/O: what a token's text reveals, how versions compare, what a verdict is. It
// refuses to open a file, make a request, read a clock or print.
package rekey
