package rekey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Remedy is the way one section is repaired.
type Remedy string

// The remedies.
const (
	RemedyCreate  Remedy = "create"  // a new record through the API, its token into the section
	RemedyReset   Remedy = "reset"   // the existing record's token is reset by id
	RemedyGiven   Remedy = "given"   // a token that somebody else made, from a file or standard input
	RemedyRewrite Remedy = "rewrite" // the value is freed of what surrounds it
	RemedyURL     Remedy = "url"     // the section's url is mended
	RemedyAssign  Remedy = "assign"  // the record is assigned to the project it was meant for
	RemedyAppend  Remedy = "append"  // register: a new record and a new section
	RemedyOverlap Remedy = "overlap" // rotate: a second record beside the first, which is then retired
	RemedyRollout Remedy = "rollout" // rotate in a cluster: a second record, its Secret, new pods; the first record is then retired
)

// StepKind names one step of a target; journals refer to it.
type StepKind string

// The steps, in the order in which they run.
const (
	StepCensus   StepKind = "census"   // count the online managers that would lose their token
	StepCreate   StepKind = "create"   // POST /user/runners, with the marker tag
	StepTry      StepKind = "try"      // write the secret once more as it is: a store that takes no write ends it here
	StepReset    StepKind = "reset"    // POST /runners/:id/reset_authentication_token
	StepSeal     StepKind = "seal"     // seal a token that was given
	StepStore    StepKind = "store"    // put the token into the secret store, before anything else takes it
	StepDeliver  StepKind = "deliver"  // edit config.toml
	StepReload   StepKind = "reload"   // SIGHUP, or the newer mtime
	StepAssign   StepKind = "assign"   // POST /projects/:id/runners
	StepProve    StepKind = "prove"    // manager seen, token verifies, canary job
	StepSettle   StepKind = "settle"   // the record gets its real tags and attributes
	StepHandover StepKind = "handover" // every online manager of the old record is seen on the new one
	StepPause    StepKind = "pause"    // the old record gets no more jobs
	StepDrain    StepKind = "drain"    // its jobs have ended
	StepSwap     StepKind = "swap"     // the new section takes the old one's place and name
	StepRetire   StepKind = "retire"   // delete the record that a replacement made superfluous
	StepEnd      StepKind = "end"      // the operation is over; its outcome says how
)

// Step is one line of a plan.
type Step struct {
	Kind StepKind `json:"kind"`
	Text string   `json:"text"` // for people: what will be done and where
}

// Attributes are what a record is given once its token is proved.
type Attributes struct {
	Scope           Scope         `json:"scope"`
	Owner           Ref           `json:"owner,omitzero"` // group or project
	Description     string        `json:"description,omitempty"`
	Tags            []string      `json:"tags,omitempty"`
	RunUntagged     bool          `json:"run_untagged"`
	Locked          bool          `json:"locked,omitempty"`
	Paused          bool          `json:"paused,omitempty"`
	AccessLevel     string        `json:"access_level,omitempty"`
	MaximumTimeout  time.Duration `json:"maximum_timeout,omitempty"`
	MaintenanceNote string        `json:"maintenance_note,omitempty"`
	Projects        []Ref         `json:"projects,omitempty"` // further assignments of a project runner
	Source          string        `json:"source"`             // where they come from, for people
}

// Place is one section that holds a token.
type Place struct {
	Config string      `json:"config"`
	Index  int         `json:"index"`
	Name   string      `json:"name"`
	Before Fingerprint `json:"before"` // of the token in the file
}

// Deposit is the secret that a target's token is put into.
type Deposit struct {
	Ref     string      `json:"ref"`
	Version string      `json:"version,omitempty"` // current when the plan was made; "" where there was none
	Holds   Fingerprint `json:"holds,omitempty"`   // of the value then
	Swap    string      `json:"swap"`              // how the store compares before it writes: atomic, checked or none
	Owner   string      `json:"owner,omitempty"`   // is kept beside the token
}

// Via is how a later run reaches a host, without the flags and the inventory of the
// one that named it.
type Via struct {
	Host string `json:"host"` // its name in configs, as ssh://web1
	By   string `json:"by"`   // as ssh://me@10.0.0.5:2222?become=sudo
}

// Target is the repair of one section, or the rotation of one record.
type Target struct {
	Config string `json:"config"`         // path as given
	Host   string `json:"host,omitempty"` // address of the host it lies on, by which it is found again; "" for this machine
	// Via says how hosts are reached whose names do not tell.
	Via      []Via       `json:"via,omitempty"`
	Index    int         `json:"index"`
	Name     string      `json:"name"`
	URL      string      `json:"url"`              // of the section
	GitLab   string      `json:"gitlab,omitempty"` // base URL the user token is for; "" without one
	RunnerID RunnerID    `json:"runner_id,omitempty"`
	Before   Fingerprint `json:"before"` // of the token in the file
	Causes   []Cause     `json:"causes"`
	Remedy   Remedy      `json:"remedy"`
	Also     []Place     `json:"also,omitempty"` // further sections that hold the same token
	NewURL   string      `json:"new_url,omitempty"`
	From     string      `json:"from,omitempty"` // reference of the store that a given token stays in; "" where it is nowhere else
	// Store is where the token is put first; nil: nowhere.
	Store *Deposit `json:"store,omitempty"`
	// Agents: managers of other hosts take the token from the store through their own
	// agents. Where Config is the store's reference no config is edited from here.
	Agents bool `json:"agents,omitempty"`
	// Attributes of the record to create; nil where none is created.
	Attributes *Attributes `json:"attributes,omitempty"`
	// AllJobs: the user token sees every job of the record, so an empty list is idle.
	AllJobs  bool     `json:"all_jobs,omitempty"`
	AssignTo string   `json:"assign_to,omitempty"` // project path or id
	Executor string   `json:"executor,omitempty"`  // of a section to append
	Image    string   `json:"image,omitempty"`     // of its docker executor
	Steps    []Step   `json:"steps"`
	Notes    []string `json:"notes,omitempty"` // costs and limits the reader should know
}

// Left is a section that is left alone, and why.
type Left struct {
	Config string  `json:"config"`
	Index  int     `json:"index"`
	Name   string  `json:"name"`
	Causes []Cause `json:"causes"`
	// Severity is that of its gravest finding.
	Severity Severity `json:"severity"`
	Reason   string   `json:"reason"`
	Next     string   `json:"next,omitempty"` // what the reader can do
}

// Plan is what a fix would do, in order. It holds no token.
type Plan struct {
	Targets []Target `json:"targets"`
	Left    []Left   `json:"left"`
}

// Digest names the plan: equal plans have equal digests, on every machine.
func (p Plan) Digest() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic("rekey: a plan is plain data: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// StepBegin opens every journal: its data is the target.
const StepBegin StepKind = "begin"

// Afar reports whether nothing but the store is written from here.
func (t Target) Afar() bool { return t.Store != nil && t.Agents && t.Config == t.Store.Ref }

// Order returns the steps of a target: those of its remedy, and of its store.
func (t Target) Order() []StepKind {
	if t.Store == nil {
		return StepsOf(t.Remedy)
	}
	var order []StepKind
	for _, s := range StepsOf(t.Remedy) {
		switch s {
		case StepReset, StepCreate:
			order = append(order, StepTry, s, StepStore)
		case StepSeal:
			order = append(order, s, StepStore)
		case StepDeliver, StepReload, StepSwap, StepCensus:
			if !t.Afar() {
				order = append(order, s)
			}
		default:
			order = append(order, s)
		}
	}
	return order
}

// StepsOf returns the order of steps of a remedy.
func StepsOf(r Remedy) []StepKind {
	switch r {
	case RemedyCreate, RemedyAppend:
		return []StepKind{StepCreate, StepDeliver, StepReload, StepProve, StepSettle}
	case RemedyOverlap:
		return []StepKind{StepCreate, StepDeliver, StepReload, StepProve, StepSettle, StepHandover, StepPause, StepDrain, StepSwap, StepRetire}
	case RemedyRollout:
		return []StepKind{StepCreate, StepDeliver, StepReload, StepProve, StepSettle, StepHandover, StepPause, StepDrain, StepRetire}
	case RemedyReset:
		return []StepKind{StepCensus, StepReset, StepDeliver, StepReload, StepProve, StepSettle}
	case RemedyGiven, RemedyRewrite:
		return []StepKind{StepSeal, StepDeliver, StepReload, StepProve, StepSettle}
	case RemedyURL:
		return []StepKind{StepDeliver, StepReload, StepProve, StepSettle}
	case RemedyAssign:
		return []StepKind{StepAssign, StepProve, StepSettle}
	}
	return nil
}
