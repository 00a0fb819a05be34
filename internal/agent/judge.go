package agent

import (
	"rekey"
)

// Presence is what reading the store came to.
type Presence string

// The ways in which a read ends.
const (
	Found   Presence = "found"
	Missing Presence = "missing" // nothing is there, or an empty value
	Away    Presence = "away"    // the store cannot be read now, or may not be
	Wrong   Presence = "wrong"   // something is there that is no runner token
)

// Sight is what is known of one section and its secret at one moment.
type Sight struct {
	Config rekey.Token // as it stands in the file
	Store  rekey.Token // as Found, freed of what stood around it
	Read   Presence
	Agreed Agreed
	// What GitLab says of each, "" where it was not asked. A text that cannot be sent
	// needs no question: it is Invalid.
	OfConfig, OfStore rekey.Verdict
}

// Agreed is what both sides last held. It names tokens and holds none.
type Agreed struct {
	Token rekey.Fingerprint `json:"token,omitempty"` // "" where nothing is known
	// Replaced is the config's token before that, where the store's took its place:
	// a gitlab-runner that writes its whole file may put it back.
	Replaced rekey.Fingerprint `json:"replaced,omitempty"`
	// Incomplete says that a token was delivered of which GitLab told neither id nor
	// expiry, since the host had no system id yet.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Action is what follows from a Sight.
type Action string

// The actions.
const (
	InStep  Action = "in step"
	Ask     Action = "ask"     // GitLab has to say more first: see Decision
	Deliver Action = "deliver" // the store's token into the config
	Push    Action = "push"    // the config's token into the store
	Wait    Action = "wait"    // nothing may follow yet; it may pass by itself
	Stuck   Action = "stuck"   // nothing may follow until somebody does something
)

// Decision is an Action and why.
type Decision struct {
	Action              Action
	AskConfig, AskStore bool // of Ask
	// Over says of a Push that it takes the place of a token which GitLab refused and
	// which the config never held. A replica that lags refuses a fresh token too.
	Over bool
	Why  string // for people
	Next Advice
}

// Advice names the command by which a person goes on; the loop knows the words that
// belong into it.
type Advice string

// The advices.
const (
	NoAdvice   Advice = ""
	Diagnose   Advice = "doctor" // rekey doctor
	PutToken   Advice = "put"    // rekey secret put
	SeeStore   Advice = "get"    // rekey secret get
	MakeRecord Advice = "fix"    // rekey fix
)

// Judge says what follows. It is a pure function; the table in its test has every
// combination. Three rules stand above it: nothing follows from an answer that does
// not speak of the token, a token that GitLab refuses goes nowhere, and of two good
// ones the store's is the one that counts.
func Judge(s Sight) Decision {
	if !s.Config.Lexical().Sendable {
		s.OfConfig = rekey.Invalid
	}
	switch s.Read {
	case Away:
		return Decision{Action: Wait, Why: "the store cannot be read"}
	case Wrong:
		return Decision{Action: Stuck, Why: "the store holds no runner token", Next: SeeStore}
	case Missing:
		return missing(s)
	}
	config, store := s.Config.Fingerprint(), s.Store.Fingerprint()
	switch {
	case s.Config == s.Store:
		return Decision{Action: InStep}
	case s.Agreed.Token == "":
		return either(s, "they differ, and never agreed before")
	case config == s.Agreed.Token:
		return changedThere(s, "the store has a new token")
	case config == s.Agreed.Replaced && store == s.Agreed.Token:
		return changedThere(s, "the config has its token from before again")
	case store == s.Agreed.Token:
		return changedHere(s)
	}
	return either(s, "both changed")
}

// missing is a store that has no token yet, or not any more.
func missing(s Sight) Decision {
	switch s.OfConfig {
	case "":
		return Decision{Action: Ask, AskConfig: true}
	case rekey.Valid:
		return Decision{Action: Push, Why: "the store has no token yet"}
	case rekey.Invalid:
		if !s.Config.Lexical().Sendable {
			return Decision{Action: Stuck, Why: "neither the config nor the store has a token", Next: PutToken}
		}
		return Decision{Action: Stuck, Why: "the store has no token, and GitLab refuses the config's", Next: MakeRecord}
	}
	return Decision{Action: Wait, Why: "the store has no token, and whether the config's is good is unknown"}
}

// changedThere is a new token in the store. What works goes on working until GitLab
// has said that the new one does too.
func changedThere(s Sight, why string) Decision {
	switch s.OfStore {
	case "":
		return Decision{Action: Ask, AskStore: true}
	case rekey.Valid:
		return Decision{Action: Deliver, Why: why}
	case rekey.Unknown:
		return Decision{Action: Wait, Why: why + "; whether it is good is unknown"}
	}
	switch s.OfConfig {
	case "":
		return Decision{Action: Ask, AskConfig: true}
	case rekey.Invalid:
		return neither()
	}
	return Decision{Action: Wait, Why: why + ", which GitLab refuses; the config keeps the one it has", Next: SeeStore}
}

// changedHere is a new token in the config: gitlab-runner rotated it, somebody
// registered anew, or an old file was put back.
func changedHere(s Sight) Decision {
	switch s.OfConfig {
	case "":
		return Decision{Action: Ask, AskConfig: true}
	case rekey.Valid:
		return Decision{Action: Push, Why: "the config has a new token"}
	case rekey.Unknown:
		return Decision{Action: Wait, Why: "the config has a new token; whether it is good is unknown"}
	}
	return restored(s, "the config has another token, which GitLab refuses")
}

// restored is a config whose token is no good: the store's is, or nobody's.
func restored(s Sight, why string) Decision {
	switch s.OfStore {
	case "":
		return Decision{Action: Ask, AskStore: true}
	case rekey.Valid:
		if !s.Config.Lexical().Sendable {
			why = "the config has no token"
		}
		return Decision{Action: Deliver, Why: why}
	case rekey.Invalid:
		return neither()
	}
	return Decision{Action: Wait, Why: why + "; whether the store's is good is unknown"}
}

// either is two tokens of which nothing says which is the newer one.
func either(s Sight, why string) Decision {
	if s.OfStore == "" || s.OfConfig == "" {
		return Decision{Action: Ask, AskStore: s.OfStore == "", AskConfig: s.OfConfig == ""}
	}
	switch {
	case s.OfStore == rekey.Valid && s.OfConfig == rekey.Valid:
		return Decision{Action: Deliver, Why: why + "; both tokens are good, and the store's counts: the config's stays sealed in the journal"}
	case s.OfConfig == rekey.Invalid:
		return restored(s, why+"; GitLab refuses the config's token")
	case s.OfStore == rekey.Valid:
		return Decision{Action: Deliver, Why: why + "; the store's token is good"}
	case s.OfStore == rekey.Unknown:
		return Decision{Action: Wait, Why: why + "; whether the store's token is good is unknown"}
	case s.OfConfig == rekey.Valid:
		return Decision{Action: Push, Over: true, Why: why + "; GitLab refuses the store's token and takes the config's"}
	}
	return Decision{Action: Wait, Why: why + "; GitLab refuses the store's token, and whether the config's is good is unknown"}
}

func neither() Decision {
	return Decision{Action: Stuck, Why: "GitLab refuses both the config's token and the store's", Next: Diagnose}
}
