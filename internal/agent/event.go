package agent

// EventKind says what happened.
type EventKind string

// The kinds.
const (
	EventStarted   EventKind = "started"
	EventDelivered EventKind = "delivered"
	EventPushed    EventKind = "pushed"
	EventBehind    EventKind = "behind" // the two differ, and why they stay so
	EventAway      EventKind = "away"   // the store cannot be read
	EventBack      EventKind = "back"   // in step again after Behind or Away
	EventConfig    EventKind = "config" // a config cannot be read, or can again
	EventNote      EventKind = "note"
)

// Event is one line of the log. It holds no token.
type Event struct {
	Kind    EventKind
	Config  string
	Section string // "" where it is about the whole
	Text    string
	Next    string // what a person can do
}
