package explain

import "rekey"

// Bearing says whether a line speaks of a token.
type Bearing string

// The bearings. Fine and NotToken are both "not a token problem".
const (
	OnToken  Bearing = "token"     // the token, or how it is handed over, is the matter
	NotToken Bearing = "not-token" // something is wrong, but not with the token
	Unclear  Bearing = "unclear"   // the line alone does not say
	Fine     Bearing = "fine"      // nothing is wrong
)

// Explanation is what one line means. Its texts hold no token and no control
// character, and are bounded in length.
type Explanation struct {
	// ID names the row and, after a slash, the answer that refines it; stable.
	ID string
	// Row is the row's number in the catalogue of lines, 0 for lines beside it.
	Row int
	// Line is the line without prefix, colour and padding, scrubbed.
	Line string
	// Versions of gitlab-runner that print the line in this form.
	Versions string
	Means    string        // one or two sentences
	Causes   []rekey.Cause // likeliest first; empty when no cause of a mismatch fits
	Bearing  Bearing
	Remedy   string // what to do
	Next     string // the cheapest next piece of evidence
	Note     string // what neighbouring lines add; "" mostly
	Fields   Fields
	// Summarises says that the line only sums up one before it, which tells more.
	Summarises bool

	Count       int // how often the line was seen
	First, Last Occurrence
	// Consequences are lines that this one explains.
	Consequences []Consequence
}

// TokenProblem reports whether the token is the matter.
func (e Explanation) TokenProblem() bool { return e.Bearing == OnToken }

// Fields are what the line says beside its message, as it says it.
type Fields struct {
	Level         string // debug, info, warning, error, fatal or panic; "" when unsaid
	Runner        string // gitlab-runner's short token, 8 or 9 characters
	RunnerName    string
	Status        string
	URL           string // of the request, or of the runner; without credentials and query
	CorrelationID string
}

// Occurrence is where a line was seen.
type Occurrence struct {
	Line int    // from 1
	Time string // as the log writes it; "" when it does not
}

// Consequence is a line, or several alike, that another line explains.
type Consequence struct {
	ID    string
	Row   int
	Line  string
	Count int
}

// Summary is what a whole journal comes to.
type Summary struct {
	Lines        int           // read
	Recognised   int           // of them in the catalogue
	Explanations []Explanation // folded; problems first, by how often they were seen
	Unrecognised int           // lines at level error or above that are not in the catalogue
	Samples      []string      // the first few of those, scrubbed
	Cut          int           // lines longer than the limit, read to the limit
	Dropped      int           // recognised lines beyond the number of kinds kept apart
}

// Of returns the explanations of one bearing.
func (s Summary) Of(b Bearing) []Explanation {
	var list []Explanation
	for _, e := range s.Explanations {
		if e.Bearing == b {
			list = append(list, e)
		}
	}
	return list
}
