package explain

import (
	"slices"
	"strings"

	"rekey"
)

// Causes that the judgement of sections has no constant for yet.
const (
	runnerTokenInLegacyField rekey.Cause = "runner-token-in-legacy-field"
	reservedArguments        rekey.Cause = "reserved-arguments"
	rotationNotSaved         rekey.Cause = "rotation-not-saved"
	unhealthyWindow          rekey.Cause = "unhealthy-window"
	clonedSystemID           rekey.Cause = "cloned-system-id"
	serverRestored           rekey.Cause = "server-restored"
	otherConfigInForce       rekey.Cause = "other-config-in-force"
	rotationNotScheduled     rekey.Cause = "rotation-not-scheduled"
	sharedToken              rekey.Cause = "shared-token"
)

// row is one line of the catalogue.
type row struct {
	number   int    // in the catalogue; 0 for lines beside it
	id       string // family and word: register-forbidden
	versions string
	// says are the stable parts: any one of them is enough. "…" stands for any
	// text, "^" for the beginning of the message. Case and padding do not matter.
	says     []string
	level    string // only lines of this level, where the words alone are too few
	answered bool   // status= says more: the table of answers is consulted
	means    string
	causes   []rekey.Cause
	bearing  Bearing
	remedy   string
	next     string
	// after are the beginnings of ids of which this line is a consequence; within
	// is how many lines may lie between them, 0 any number.
	after  []string
	within int
}

func causes(list ...rekey.Cause) []rekey.Cause { return list }

// pattern is one stable part, ready to be looked for.
type pattern struct {
	anchored bool
	pieces   []string
}

func newPattern(text string) pattern {
	text, anchored := strings.CutPrefix(text, "^")
	p := pattern{anchored: anchored}
	for _, piece := range strings.Split(text, "…") {
		p.pieces = append(p.pieces, plain(piece))
	}
	return p
}

// in reports whether the pieces stand in text, which is plain, in order.
func (p pattern) in(text string) bool {
	for i, piece := range p.pieces {
		at := strings.Index(text, piece)
		if at < 0 || p.anchored && i == 0 && at > 0 {
			return false
		}
		text = text[at+len(piece):]
	}
	return true
}

func patterns(texts []string) []pattern {
	list := make([]pattern, len(texts))
	for i, t := range texts {
		list[i] = newPattern(t)
	}
	return list
}

func anyIn(list []pattern, text string) bool {
	return slices.ContainsFunc(list, func(p pattern) bool { return p.in(text) })
}

// plain writes text as it is compared: lower case, straight quotes, and no
// blank behind three dots, where versions differ.
func plain(text string) string {
	text = straight.Replace(strings.ToLower(text))
	return strings.ReplaceAll(text, "... ", "...")
}

// straight undoes what word processors and wikis do to a pasted line.
var straight = strings.NewReplacer("“", `"`, "”", `"`, "’", "'", "‘", "'", "…", "...", "\u00a0", " ")
