// Package redact is the net under the rule that a token is never printed: it
// replaces every token shape of GitLab, and every secret it was told of, in
// text, log records and byte streams. It owns the shapes to look for and the
// encodings a secret may wear. It refuses to be the first line: callers show
// rekey.Token values, which reveal nothing by themselves.
package redact
