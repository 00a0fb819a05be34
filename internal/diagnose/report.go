package diagnose

import "rekey"

// Schema names the JSON contract of a Report; see docs/json.md.
const Schema = "rekey.doctor/1"

// Report is the judgement of Facts, in the shape that doctor promises to
// programs. Fields may be added, never renamed.
type Report struct {
	Schema   string          `json:"schema"`
	GitLab   []ServerReport  `json:"gitlab"`
	Configs  []ConfigReport  `json:"configs"`
	Sections []SectionReport `json:"sections"`
	Summary  Summary         `json:"summary"`
	// Findings belong to no section: logs tell of a command that wrote none. None
	// is at error: they say nothing of a token.
	Findings []rekey.Finding `json:"findings,omitempty"`
	// Interrupted: this is what was known when doctor was interrupted.
	Interrupted bool     `json:"interrupted,omitempty"`
	Notes       []string `json:"notes,omitempty"` // what belongs to no section: from logs; of --job, the job and its runners
}

// ServerReport is one GitLab of a Report.
type ServerReport struct {
	URL             string    `json:"url"`
	Version         string    `json:"version"`
	ProfileEvidence string    `json:"profile_evidence"`
	UserToken       UserToken `json:"user_token"`
	UserTokenDetail string    `json:"user_token_detail,omitempty"`
	// ClockSkew is how many seconds the asking machine's clock is ahead of this
	// GitLab's; nil when GitLab told no time.
	ClockSkew *int64 `json:"clock_skew_seconds,omitempty"`
}

// ConfigReport is one config file of a Report; Error is "" when it was read.
type ConfigReport struct {
	Path     string `json:"path"`
	Host     string `json:"host,omitempty"` // where it lies, "" for this machine
	Error    string `json:"error"`
	Sections int    `json:"sections"`
}

// SectionReport is the judgement of one [[runners]] section.
type SectionReport struct {
	Config   string          `json:"config"`
	Host     string          `json:"host,omitempty"` // where the config lies, "" for this machine
	Index    int             `json:"index"`
	Line     int             `json:"line,omitempty"` // of the token in its file, else of the header; from 1
	Name     string          `json:"name"`
	URL      string          `json:"url"`
	RunnerID rekey.RunnerID  `json:"runner_id"`
	Token    rekey.Token     `json:"token"`
	Verdict  rekey.Verdict   `json:"verdict"`
	Findings []rekey.Finding `json:"findings"`
	Untold   string          `json:"untold,omitempty"` // what could not be told and which right would let it
}

// Summary counts sections by verdict.
type Summary struct {
	Valid   int `json:"valid"`
	Invalid int `json:"invalid"`
	Unknown int `json:"unknown"`
}
