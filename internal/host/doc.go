// Package host knows a machine that runs gitlab-runner: where its config.toml
// may lie, what the file and the system id beside it hold, which process uses
// it, and how that process is made to load it again. It refuses to start, stop
// or restart anything, to judge a token, and to change the bytes of a config
// that exists (package durable does).
//
// What cannot be read is a value with an error text, so that one unreadable
// source never hides the others. Facts: gitlab-runner's documentation of
// config.toml and its own source, from 14.10 to 19.x.
package host
