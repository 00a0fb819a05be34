// Package configtoml reads gitlab-runner's config.toml and edits it byte by
// byte: what an edit does not name survives as it was written, comments, order,
// unknown keys, line endings and ${VAR} references included.
//
// Values are what BurntSushi/toml decodes, the library that gitlab-runner
// itself uses; positions come from go-toml's parser. Every edit is parsed again
// by both, and refused if any other value than the intended ones changed.
//
// The package owns pure values. It refuses to open files, to expand references,
// to judge a value, and to quote a line of the file in an error: a line may hold
// a token.
package configtoml
