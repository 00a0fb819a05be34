package diagnose

import "time"

// Host is a place that was looked at. Facts of one host say nothing of another:
// equal paths are different files, equal process ids different processes.
type Host struct {
	Name             string // "" for this machine, else as given
	ProcessesProblem string // why more runners than Facts.Processes has may run there
}

// File is what can be seen of a config beside its text. Zero values are unknown.
type File struct {
	Path      string // absolute, on its host
	Identity  string // equal for one file under two names, even of two hosts; "" unknown
	Generated string // the tool that writes the file, "" when none is known
	// ReadOnly says why the service that uses the file cannot save into it, "" when
	// nothing is known to hinder it. It is about mounts: a right that the asking
	// user lacks says nothing of the service.
	ReadOnly  string
	Standard  string    // which gitlab-runner reads a config in this place by itself, "" for none
	ModTime   time.Time // of the content, as written
	ChangedAt time.Time // of the inode: also when an older file was put in its place
	// LegacyField is where the file's token comes from, when that is a field for
	// registration tokens: "key runner-registration-token of Secret ci/runner".
	LegacyField string
	// Synthetic: the text was made here, as a pod makes it from an object, and has no
	// lines that anybody could look up. Path names the object.
	Synthetic bool
	// AtStart: the process reads it at its start only, and a change waits for the
	// next one. ChangedAt is then of what the file is made of.
	AtStart bool
}

// Process is a runner of a host that runs for good. It names no argument:
// those may hold a token.
type Process struct {
	Host      string    // that it runs on, as Host.Name
	Name      string    // "gitlab-runner run (pid 7)"
	Config    string    // in force, in the process's own file system; "" when unknown
	From      string    // "--config", "CONFIG_FILE" or "default"
	Started   time.Time // zero: unknown
	Problem   string    // what could not be read of it, for people
	Simulated bool      // one of the lab's
	Uses      []string  // the paths, as given, of the configs that it uses
}

// LogLine is one kind of line of a log, its repeats folded. Its texts hold no
// token.
type LogLine struct {
	Host     string // whose runner wrote it, as Host.Name
	Anywhere bool   // it may be of any host: the log was given as a file

	Log    string // the file as given, or the command that read the journal
	Number int    // of the line, the last of its kind
	ID     string // of the catalogue of lines, internal/explain
	Text   string
	Count  int
	At     time.Time // the last of its kind, zero: the log does not say
	Runner string    // gitlab-runner's short token, "" when the line names none
	URL    string    // "" when the line names none
	// Joined are the ids of the lines that this one explains.
	Joined []string
}
