package iac

import "rekey"

// Slug is the stable name of a finding, as in docs/audit; never reused.
type Slug string

// The slugs. Their words and pages are in the registry.
const (
	Legacy            Slug = "legacy"
	Hardcoded         Slug = "hardcoded"
	ServerLegacy      Slug = "server-legacy"
	RunnerInLegacy    Slug = "glrt-in-legacy-field"
	LegacyArgs        Slug = "legacy-args"
	TokenInLog        Slug = "token-in-log"
	RegistrationAsRun Slug = "registration-token-as-runner-token"
	TokenInState      Slug = "token-in-state"
	BrokenToken       Slug = "checksum-mismatch"
	VersionOutside    Slug = "version-outside-table"
	Placeholder       Slug = "placeholder"
	NotParsed         Slug = "not-parsed"
)

// Finding is one thing an audit says of one place in one file. Evidence never
// holds a token. The JSON names are a contract (docs/json.md).
type Finding struct {
	Slug     Slug           `json:"slug"`
	Code     string         `json:"code"` // the slug in capitals, as policies write it
	Severity rekey.Severity `json:"severity"`
	Path     string         `json:"path"`
	Line     int            `json:"line"`
	Column   int            `json:"column"`
	EndLine  int            `json:"end_line,omitempty"`
	Message  string         `json:"message"`
	Evidence string         `json:"evidence"`
	Remedy   string         `json:"remedy"`
	Fixable  bool           `json:"fixable"`
	Docs     string         `json:"docs"`
	Format   Format         `json:"format"`
	// Fingerprint names the finding across runs and edits elsewhere in the file: it
	// is what a baseline keeps.
	Fingerprint string       `json:"fingerprint"`
	Token       *rekey.Token `json:"token,omitempty"`
	Commit      *Commit      `json:"commit,omitempty"`
	Alive       *Alive       `json:"alive,omitempty"`
	Fleet       *Fleet       `json:"fleet,omitempty"`
	Suppressed  string       `json:"suppressed,omitempty"`
	Where       Span         `json:"-"` // the bytes that speak: a flag, a key, a token
	Value       Span         `json:"-"` // the bytes of its value, empty when there is none
	Command     []Span       `json:"-"` // the words of the command it stands in
	imprint     string       // what the fingerprint knows beside the path
	secret      rekey.Token  // for --verify and --history
}

// Commit is where in git history a token was put.
type Commit struct {
	ID     string `json:"id"`
	Author string `json:"author"`
	Date   string `json:"date"`
}

// Alive is what the user's own GitLab said of a runner token.
type Alive struct {
	Verdict rekey.Verdict `json:"verdict"`
	Seen    string        `json:"seen"`
}

// Fleet is the runner of a snapshot that a token belongs to.
type Fleet struct {
	RunnerID rekey.RunnerID `json:"runner_id,omitempty"`
	Name     string         `json:"name"`
	GitLab   string         `json:"gitlab"`
	Seen     string         `json:"seen"`
}

// Secret is the token the finding is about, the zero Token where it is about none.
func (f Finding) Secret() rekey.Token { return f.secret }
