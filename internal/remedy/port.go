package remedy

import (
	"context"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// GitLab is the user token's side of one GitLab. Methods that issue a token hand
// the raw answer to seal before they parse it, and fail when seal fails. They are
// never retried.
type GitLab interface {
	CreateRunner(ctx context.Context, r rekey.NewRunner, seal func(raw []byte) error) (rekey.Issued, error)
	ResetRunner(ctx context.Context, id rekey.RunnerID, seal func(raw []byte) error) (rekey.Issued, error)
	Runner(ctx context.Context, id rekey.RunnerID) (rekey.Runner, error)
	// Managers returns known == false where the server has no such list.
	Managers(ctx context.Context, id rekey.RunnerID) (managers []rekey.Manager, known bool, err error)
	FindByTag(ctx context.Context, tag string) ([]rekey.Runner, error)
	UpdateRunner(ctx context.Context, id rekey.RunnerID, edit rekey.RunnerEdit) (rekey.Runner, error)
	DeleteRunner(ctx context.Context, id rekey.RunnerID) error
	// RunningJobs counts the running jobs of a record that the user may see;
	// known is false where none may be seen at all.
	RunningJobs(ctx context.Context, id rekey.RunnerID) (n int, known bool, err error)
	AssignProject(ctx context.Context, project string, id rekey.RunnerID) error
	Project(ctx context.Context, pathOrID string) (Project, error)
	Group(ctx context.Context, pathOrID string) (rekey.Ref, error)
	CreatePipeline(ctx context.Context, project int64, ref string, variables map[string]string) (Pipeline, error)
	PipelineJobs(ctx context.Context, project, pipeline int64) ([]Job, error)
	CancelPipeline(ctx context.Context, project, pipeline int64) error
}

// Project is what a canary needs to know of a project.
type Project struct {
	ID            int64
	Path          string // with its namespaces
	DefaultBranch string
}

// Pipeline is a pipeline that was created.
type Pipeline struct {
	ID     int64
	WebURL string
}

// Job is one job of a pipeline.
type Job struct {
	ID            int64
	Status        string // GitLab's word
	RunnerID      rekey.RunnerID
	SystemID      rekey.SystemID // "" where GitLab does not say (before 16.3)
	WebURL        string
	Tags          []string // what it asks of a runner
	FailureReason string
}

// Host is the machine whose config is edited.
type Host interface {
	// Read returns the bytes of the config.
	Read(path string) ([]byte, error)
	// SystemID returns "" when there is none to read.
	SystemID(path string) rekey.SystemID
	// CheckWritable fails with a hint when the config could not be replaced.
	CheckWritable(path string) error
	// Replace exchanges the config's bytes; it fails with KindConflict when the
	// file does not hold expect any more.
	Replace(path string, expect, next []byte) (how string, err error)
	// Create makes a config that does not exist yet.
	Create(path string, data []byte) error
	// Reload makes a running gitlab-runner load the config, and says how. It
	// never restarts anything.
	Reload(ctx context.Context, path string) (how string, err error)
	// Lock keeps every other rekey away from the config.
	Lock(path string) (unlock func(), err error)
}

// Secret is one place in a secret store.
type Secret interface {
	// Held returns what stands there, the zero Held where nothing does.
	Held(ctx context.Context) (Held, error)
	// Put makes token what stands there, where nobody wrote since over was read;
	// KindConflict says that somebody did. After KindUnavailable it may be there.
	Put(ctx context.Context, over Held, token rekey.Token, about About) (version string, err error)
	// Remove leaves nothing there.
	Remove(ctx context.Context) error
}

// Held is what stands in a secret.
type Held struct {
	Token    rekey.Token
	Version  string         // in the store's words
	RunnerID rekey.RunnerID // whose token it is, as far as the store tells
}

// About is what is kept beside a token; zero fields stay as they are.
type About struct {
	RunnerID           rekey.RunnerID
	Owner              string
	RotatedAt, NextDue time.Time
}

// Question is one question about a runner token to the GitLab of its section.
type Question struct {
	Config   string // whose section it is
	TLS      diagnose.TLSFiles
	Remote   *RemoteTLS // of a config on another host; no file of this machine then stands for one of TLS
	URL      string
	Token    rekey.Token
	SystemID rekey.SystemID
	// Verify asks POST /runners/verify even where discovery exists, for the id
	// and the expiry in its answer, as gitlab-runner register does.
	Verify bool
	// Touch permits a verify without a system id, which makes a "<legacy>"
	// manager.
	Touch bool
	// Bound is how long its GitLab may be silent; nil leaves it to the probe.
	Bound Bound
}

// Bound bounds a wait for a GitLab: it returns a context that ends when that GitLab
// has been silent for too long, and what to call when the wait is over.
type Bound func(context.Context) (context.Context, context.CancelFunc)

// RemoteTLS is what the TLS files of a section on another host hold, in PEM; ""
// where there is none.
type RemoteTLS struct {
	CA, Cert string
	Key      rekey.Token // a private key, in the type that does not show it
}

// Probe asks it; the token goes to the question's URL and nowhere else.
type Probe func(ctx context.Context, q Question) rekey.Answer

// Clock is the time and the way to wait for it.
type Clock interface {
	Now() time.Time
	// Sleep returns ctx.Err() when ctx ends first.
	Sleep(ctx context.Context, d time.Duration) error
}
