package diagnose

import (
	"time"

	"rekey"
)

// Facts is everything that was collected for one judgement: plain values, no
// I/O behind them.
type Facts struct {
	Now     time.Time
	Configs []Config
	Servers []Server
	Expect  Expectation
	// Interrupted: the collecting was ended before everything was asked.
	Interrupted bool

	// Hosts are the places that were looked at, this machine among them as "".
	Hosts []Host

	// Processes are the runners of the hosts. ProcessesProblem says why there may be
	// more on this machine; it is "" when the list is whole. See Host for others.
	Processes        []Process
	ProcessesProblem string
	Logs             []LogLine // what logs say, folded
	LogNotes         []string  // which log was or could not be read, for people
}

// InterruptedMessage is the message of an AnswerNotAsked that an interrupt made.
const InterruptedMessage = "interrupted"

// Config is one config.toml as it was read. Err is "" or "FILE:LINE: reason",
// never quoting the line; a Config with an Err has no sections.
type Config struct {
	Path     string // as given; of another host its name and the path
	Host     string // "" for this machine, else "ssh://runner1", "docker://NAME", "k8s://…"
	Err      string
	File     File
	Sections []Section
}

// Section is one [[runners]] with what was asked about it.
type Section struct {
	Config string // path as given
	Index  int    // from 0 within its file
	Line   int    // of the token's value, or of the header when there is none

	Name       string
	URL        string // as the file has it
	RunnerID   rekey.RunnerID
	Token      rekey.Token // as the file has it
	ObtainedAt time.Time   // zero: not in the file
	ExpiresAt  time.Time   // zero: not in the file
	Executor   string
	TLS        TLSFiles
	// LegacyField is the field that Token stands in where it is one for registration
	// tokens, as File.LegacyField; "" for any other.
	LegacyField string
	// RotationOff: FF_DISABLE_AUTOMATIC_TOKEN_ROTATION is set in the section.
	RotationOff bool

	// Unset names the variables that the token or the URL refers to and that
	// are not set in the collector's environment.
	Unset []string
	// Expanded is set when every reference could be expanded; the probe then
	// carried Expanded and went to ExpandedURL.
	Expanded    *rekey.Token
	ExpandedURL string

	SystemID        rekey.SystemID
	SystemIDProblem string // why SystemID is "", for people

	Answer rekey.Answer // AnswerNotAsked when nothing was sent
	// Earlier is the refusal of a fresh token before Answer accepted it; else zero.
	Earlier rekey.Answer
	Record  Record
}

// TLSFiles are a section's own TLS files; "" leaves it to the system.
type TLSFiles struct{ CA, Cert, Key string }

// Lookup is how the question "what does GitLab hold under this id?" ended.
type Lookup string

// The ends of a record's lookup.
const (
	LookupNone   Lookup = "none"   // not asked: no user token for this GitLab, or no id in the section
	LookupFound  Lookup = "found"  // GET /runners/:id was 200
	LookupGone   Lookup = "gone"   // 404
	LookupDenied Lookup = "denied" // 401 or 403: the user token may not see it
	LookupFailed Lookup = "failed" // anything else
)

// Record is what GitLab told the user token about the section's runner id.
type Record struct {
	Lookup        Lookup
	Reason        string // for people, when not found
	Request       string // "GET https://…/api/v4/runners/7"
	At            time.Time
	Runner        rekey.Runner
	Managers      []rekey.Manager
	ManagersKnown bool // GET /runners/:id/managers was 200 (17.1 and later)
}

// UserToken says how a GitLab took the user token, if one was meant for it.
type UserToken string

// The states of a user token at one GitLab.
const (
	UserTokenNone     UserToken = "none"     // none was given for this GitLab
	UserTokenAccepted UserToken = "accepted" // it may read runners
	UserTokenLimited  UserToken = "limited"  // accepted, but a scope is missing; Detail names it
	UserTokenRefused  UserToken = "refused"  // 401
	UserTokenUnknown  UserToken = "unknown"  // no answer to judge by
)

// Server is one GitLab: sections whose URLs share scheme, host, port and path
// prefix.
type Server struct {
	URL             string // base URL without /api/v4
	Version         rekey.Version
	VersionText     string // as the server says it, "" when unknown
	ProfileEvidence string // how the version and switches are known, for people
	UserToken       UserToken
	UserTokenDetail string // the scope or right that is missing
	// RegistrationAllowed is nil when it was not asked or cannot be known.
	RegistrationAllowed  *bool
	RegistrationEvidence rekey.Evidence
	Maintenance          bool // the setting maintenance_mode was read, and is on
	// NewestRunner is the highest id of all runners, 0 when it was not told;
	// NewestIsWhole: there is none above it. Asked where a record is gone.
	NewestRunner  rekey.RunnerID
	NewestIsWhole bool
	// Undecryptable is the request that GitLab fails to answer for want of its
	// secrets. Asked where no token is accepted.
	Undecryptable rekey.Evidence
	// TokenLife is how long tokens that are issued now live, by scope, 0 being for
	// ever; nil when it was not told. Asked where an answer tells no date.
	TokenLife  map[rekey.Scope]time.Duration
	ServerTime time.Time // of the last Date header
	ReadAt     time.Time // local time of ServerTime
}

// Expectation is what the operator says the sections are meant for.
type Expectation struct {
	Scope   rekey.Scope // "" when nothing is expected
	Project string      // path or id; implies nothing about Scope
}
