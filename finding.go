package rekey

import "time"

// Cause is the stable slug of a finding, as in docs/findings; never reused.
type Cause string

// The causes. Their words, remedies and pages are in the registry of
// internal/diagnose.
const (
	LegacyRegistrationDisabled Cause = "legacy-registration-disabled"
	RegistrationTokenInConfig  Cause = "registration-token-in-config"
	RecordDeleted              Cause = "record-deleted"
	RotatedElsewhere           Cause = "rotated-elsewhere"
	TokenExpired               Cause = "token-expired"
	EnvironmentReference       Cause = "environment-reference"
	MalformedToken             Cause = "malformed-token"
	WrongInstance              Cause = "wrong-instance"
	WrongScope                 Cause = "wrong-scope"
	OnlineButIdle              Cause = "online-but-idle"
	DuplicateToken             Cause = "duplicate-token"
	VersionSkew                Cause = "version-skew"
	RateLimited                Cause = "rate-limited"
	Unreachable                Cause = "unreachable"
	ServerReadOnly             Cause = "server-read-only"
	RunnerOrphaned             Cause = "runner-orphaned"
	UnexpectedAnswer           Cause = "unexpected-answer"
	RotationNotScheduled       Cause = "rotation-not-scheduled"
	SharedToken                Cause = "shared-token"
	OtherConfigInForce         Cause = "other-config-in-force"
	ReloadMissed               Cause = "reload-missed"
	RunnerTokenInLegacyField   Cause = "runner-token-in-legacy-field"
	ReservedArguments          Cause = "reserved-arguments"
	RotationNotSaved           Cause = "rotation-not-saved"
	UnhealthyWindow            Cause = "unhealthy-window"
	ClonedSystemID             Cause = "cloned-system-id"
	ServerRestored             Cause = "server-restored"
	NotPropagated              Cause = "not-propagated"
)

// Severity orders findings: info, warning, error.
type Severity string

// The severities.
const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Failing Severity = "error"
)

// AtLeast reports whether s is as grave as other.
func (s Severity) AtLeast(other Severity) bool { return severityRank[s] >= severityRank[other] }

var severityRank = map[Severity]int{Info: 1, Warning: 2, Failing: 3}

// ParseSeverity accepts info, warning and error.
func ParseSeverity(text string) (Severity, error) {
	if severityRank[Severity(text)] == 0 {
		return "", Errorf(KindInvalid, "%q is not a severity", text).WithHint("use info, warning or error")
	}
	return Severity(text), nil
}

// Confidence says how much of the evidence was at hand.
type Confidence string

// The confidences.
const (
	Certain  Confidence = "certain"
	Likely   Confidence = "likely"
	Possible Confidence = "possible"
)

// Evidence is one thing that was seen. It never holds a token.
type Evidence struct {
	Seen  string    `json:"seen"`            // what, as a sentence
	Where string    `json:"where,omitempty"` // file and line, or request
	At    time.Time `json:"at,omitzero"`     // when it was seen
}

// Finding is one cause seen in one section, with its evidence and remedy.
type Finding struct {
	Cause      Cause      `json:"cause"`
	Severity   Severity   `json:"severity"`
	Confidence Confidence `json:"confidence"`
	Evidence   []Evidence `json:"evidence"`
	Remedy     string     `json:"remedy"`
	Docs       string     `json:"docs"`              // address of the finding's page
	Because    []Finding  `json:"because,omitempty"` // findings that this one explains
}
