// Package iac understands infrastructure code: it finds registration-token flows,
// hard-coded tokens and tokens that leak, in the formats people use, and says at
// which bytes they stand. Parsers collect sites, pure functions judge them.
//
// It owns what counts as a finding, the registry of its slugs, the report in every
// format, and what a text becomes when it is rewritten. It refuses to talk to a
// server, to run a program, to write a file and to guess; a token it saw is shown as
// kind and fingerprint only.
package iac
