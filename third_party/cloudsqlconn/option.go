// Package cloudsqlconn stands in for Google's package of this name, by a replace
// line in go.mod. The framework of Vault's sdk imports the original through the
// parts for database plugins, of which rekey has none; it brings Google's
// authentication, for which every command of rekey would pay at its start.
package cloudsqlconn

// Option is never made.
type Option func()

// DialOption is never made.
type DialOption func()

// WithIAMAuthN returns nothing.
func WithIAMAuthN() Option { return nil }

// WithCredentialsJSON returns nothing.
func WithCredentialsJSON([]byte) Option { return nil }

// WithDefaultDialOptions returns nothing.
func WithDefaultDialOptions(...DialOption) Option { return nil }

// WithPrivateIP returns nothing.
func WithPrivateIP() DialOption { return nil }

// WithPSC returns nothing.
func WithPSC() DialOption { return nil }
