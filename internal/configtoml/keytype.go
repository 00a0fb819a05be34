package configtoml

import (
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// keyType is what gitlab-runner wants as a key's value.
type keyType struct {
	key      string
	kind     unstable.Kind
	expected string
}

var globalTypes = []keyType{
	{"concurrent", unstable.Integer, wholeNumber}, {"check_interval", unstable.Integer, wholeNumber},
	{"shutdown_timeout", unstable.Integer, wholeNumber}, {"log_level", unstable.String, quoted},
	{"log_format", unstable.String, quoted}, {"user", unstable.String, quoted},
	{"listen_address", unstable.String, quoted}, {"sentry_dsn", unstable.String, quoted},
}

var sectionTypes = []keyType{
	{"name", unstable.String, quoted}, {"url", unstable.String, quoted}, {"id", unstable.Integer, wholeNumber},
	{"token", unstable.String, quoted}, {"token_obtained_at", unstable.DateTime, dateTime},
	{"token_expires_at", unstable.DateTime, dateTime}, {"executor", unstable.String, quoted},
	{"limit", unstable.Integer, wholeNumber}, {"request_concurrency", unstable.Integer, wholeNumber},
	{"tls-ca-file", unstable.String, quoted}, {"tls-cert-file", unstable.String, quoted},
	{"tls-key-file", unstable.String, quoted}, {"clone_url", unstable.String, quoted},
	{"builds_dir", unstable.String, quoted}, {"cache_dir", unstable.String, quoted},
	{"shell", unstable.String, quoted}, {"environment", unstable.Array, "a list of quoted texts"},
}

const (
	wholeNumber = "a whole number without quotes"
	quoted      = "text in quotes"
	dateTime    = "a date and time such as 2006-01-02T15:04:05Z"
)

func (t keyType) accepts(value *unstable.Node) bool {
	if t.kind != unstable.DateTime {
		return value.Kind == t.kind
	}
	switch value.Kind {
	case unstable.DateTime, unstable.LocalDateTime, unstable.LocalDate, unstable.LocalTime:
		return true
	case unstable.String:
		return new(time.Time).UnmarshalText(value.Data) == nil
	}
	return false
}
