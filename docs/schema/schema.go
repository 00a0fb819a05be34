// Package schema holds the JSON Schemas that are published beside it, as the binary
// prints them. It owns no code: what a document is, docs/json.md says.
package schema

import _ "embed"

// Doctor is the schema of `rekey doctor -o json`, draft 2020-12.
//
//go:embed doctor.schema.json
var Doctor []byte
