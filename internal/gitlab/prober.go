package gitlab

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/redact"
)

// patience bounds the waits for GitLab of a probe that has no bound of its own.
const patience = 30 * time.Second

// attempts bounds how often one question is asked of a GitLab that answers 429.
const attempts = 5

// Prober asks GitLabs about runner tokens, each at the URL of its own section
// and nowhere else. It remembers per GitLab whether discovery is there. It is
// safe for concurrent use by any number of sections.
type Prober struct {
	opts Options

	mu       sync.Mutex
	clients  map[tlsFiles]*http.Client
	servers  map[string]*discovery
	evidence map[string]*hostEvidence
}

// NewProber returns a Prober; URL and Token of the options are not used.
func NewProber(o Options) *Prober {
	return &Prober{
		opts:     o.withDefaults(),
		clients:  map[tlsFiles]*http.Client{},
		servers:  map[string]*discovery{},
		evidence: map[string]*hostEvidence{},
	}
}

// ProbeRequest is one section's question.
type ProbeRequest struct {
	URL      string // of the section, as text
	Token    rekey.Token
	SystemID rekey.SystemID // as read from the host; never invented
	// AllowVerifyWithoutSystemID lets verify go out without a system id; GitLab
	// then creates a manager named <legacy>.
	AllowVerifyWithoutSystemID bool
	// PreferVerify asks verify first: for a runner that is about to be used, and
	// whose manager may appear.
	PreferVerify bool
	// Bound is how long GitLab may be silent; nil: 30 s for the question, unless
	// the context has a deadline.
	Bound Bound

	TLSCAFile   string // tls-ca-file of the section
	TLSCertFile string // tls-cert-file
	TLSKeyFile  string // tls-key-file
	// PEM is what such files of another host hold; nil: they are this machine's. The
	// files are then not looked at.
	PEM *PEM
}

// PEM is TLS material as text, "" where there is none.
type PEM struct {
	CA, Cert string
	Key      rekey.Token // a private key, in the type that does not show it
}

// Probe asks GitLab whether it accepts the token. GET /runners/router/discovery
// (18.7 and later), which writes nothing, comes first; where the server is older
// POST /runners/verify follows, if a system id is known. It does not fail: what
// kept it from an answer is the answer. A 429 is waited for and asked again
// while that fits the bound and ctx's deadline.
func (p *Prober) Probe(ctx context.Context, r ProbeRequest) rekey.Answer {
	base, err := BaseURL(r.URL)
	if err != nil {
		return rekey.Answer{Kind: rekey.AnswerBadURL, Message: err.Error(), At: p.opts.Now()}
	}
	if lex := r.Token.Lexical(); !lex.Sendable {
		return p.notAsked("the text is no runner token that a GitLab could have issued")
	}
	files := tlsFiles{ca: r.TLSCAFile, cert: r.TLSCertFile, key: r.TLSKeyFile}
	if r.PEM != nil {
		files = tlsFiles{pem: *r.PEM}
	}
	client, err := p.client(files)
	if err != nil {
		return rekey.Answer{Kind: rekey.AnswerUnreachable, Message: short(nil, err.Error()), At: p.opts.Now()}
	}
	if _, ok := ctx.Deadline(); !ok && r.Bound == nil {
		r.Bound = within(patience, p.opts.Now)
	}
	q := &question{Prober: p, ProbeRequest: r, base: base, client: client, scrub: redact.NewScrubber(r.Token)}
	return q.ask(ctx)
}

// HasDiscovery reports what was learnt of the GitLab at url: whether it has
// GET /runners/router/discovery, so is 18.7 or later.
func (p *Prober) HasDiscovery(url string) (has, known bool) {
	return p.server(url).learnt()
}

func (p *Prober) notAsked(why string) rekey.Answer {
	return rekey.Answer{Kind: rekey.AnswerNotAsked, Message: why, At: p.opts.Now()}
}

func (p *Prober) client(files tlsFiles) (*http.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[files]; c != nil {
		return c, nil
	}
	c, err := newHTTPClient(tlsFiles{ca: p.opts.CAFile}, files)
	if err != nil {
		return nil, err
	}
	p.clients[files] = c
	return c, nil
}

// question is one probe under way.
type question struct {
	*Prober
	ProbeRequest
	base   string
	client *http.Client
	scrub  *redact.Scrubber
}

func (q *question) ask(ctx context.Context) rekey.Answer {
	if q.PreferVerify && q.mayVerify() {
		return q.verify(ctx)
	}
	server := q.server(q.base)
	if ask, learn := server.enter(ctx); ask {
		a, taught := q.discover(ctx)
		learn(taught)
		if taught != discoveryAbsent {
			return a
		}
	}
	if !q.mayVerify() {
		return q.notAsked("this GitLab is older than 18.7, so only verify could tell; it was not sent because the system id of this host is not known and GitLab would create a manager")
	}
	return q.verify(ctx)
}

func (q *question) mayVerify() bool { return q.SystemID != "" || q.AllowVerifyWithoutSystemID }

// discover sends GET /runners/router/discovery. 200, or 501 with GitLab's own
// message, comes after authentication and so accepts the token; any other 501
// proves nothing.
func (q *question) discover(ctx context.Context) (rekey.Answer, discoveryState) {
	const unavailable = "Job Router is not available. Please contact your administrator."
	a, r := q.send(ctx, http.MethodGet, "runners/router/discovery", nil, func(r *reply, e envelope, _ *rekey.Answer) bool {
		var address string
		return r.status == http.StatusNotImplemented && e.plain && e.message == unavailable ||
			r.status == http.StatusOK && json.Unmarshal(e.fields["server_url"], &address) == nil && address != ""
	})
	switch {
	case a.Kind == rekey.AnswerAccepted, a.Kind == rekey.AnswerRefused:
		return a, discoveryPresent
	case r != nil && r.status == http.StatusNotFound && parseEnvelope(r.body).unknownRoute():
		return a, discoveryAbsent
	}
	return a, discoveryUnknown
}

// verify sends POST /runners/verify, which creates the manager of the system id
// if it is not there. Before 15.9 the answer is the text 200.
func (q *question) verify(ctx context.Context) rekey.Answer {
	body, err := json.Marshal(struct {
		Token    string `json:"token"`
		SystemID string `json:"system_id,omitempty"`
	}{q.Token.Reveal(), string(q.SystemID)})
	if err != nil {
		return q.notAsked("the request cannot be encoded")
	}
	a, _ := q.send(ctx, http.MethodPost, "runners/verify", body, acceptVerify)
	return a
}

func acceptVerify(r *reply, e envelope, a *rekey.Answer) bool {
	if r.status != http.StatusOK {
		return false
	}
	if strings.Trim(strings.TrimSpace(string(r.body)), `"`) == "200" {
		return true
	}
	var id int64
	if json.Unmarshal(e.fields["id"], &id) != nil || id <= 0 {
		return false
	}
	a.RunnerID = rekey.RunnerID(id)
	a.ExpiresAt = timestamp(flatten(e.fields["token_expires_at"]))
	return true
}

// accepts recognises a question's own yes and may add to the answer.
type accepts func(*reply, envelope, *rekey.Answer) bool

// send asks once, and again after a 429 while the pause fits the deadline. The
// reply is nil when nothing came back.
func (q *question) send(ctx context.Context, method, path string, body []byte, yes accepts) (rekey.Answer, *reply) {
	target := q.base + apiPath + path
	budget := q.opts.Budgets.For(q.base)
	var last *rekey.Answer
	for try := 1; ; try++ {
		if err := budget.Wait(ctx, q.Bound); err != nil {
			if last != nil {
				return *last, nil
			}
			return q.unsent(method, target, err), nil
		}
		bounded, stop := q.Bound.of(ctx)
		r := q.exchange(bounded, method, target, body)
		stop()
		a := q.read(ctx, r, yes)
		a.Request = method + " " + display(target)
		if r.err == nil {
			budget.Observe(r.status, r.header)
		}
		if a.Kind != rekey.AnswerRateLimited || try == attempts {
			return a, r
		}
		last = &a
	}
}

func (q *question) exchange(ctx context.Context, method, target string, body []byte) (r *reply) {
	ctx, cancel := context.WithTimeout(ctx, q.opts.Timeout)
	defer cancel()
	req, err := newRequest(ctx, method, target, q.opts.UserAgent, body)
	if err != nil {
		return &reply{err: errors.New("the request cannot be built")}
	}
	if method == http.MethodGet {
		req.Header.Set("Runner-Token", q.Token.Reveal())
		return exchange(q.client, req)
	}
	_ = durable.Call("gitlab.verify", func() error {
		r = exchange(q.client, req)
		return r.err
	})
	return r
}

// unsent is the answer when the budget let nothing through.
func (q *question) unsent(method, target string, err error) rekey.Answer {
	a := q.notAsked("not asked within the time given")
	a.Request = method + " " + display(target)
	var paused *PausedError
	switch {
	case errors.As(err, &paused):
		a.Kind, a.Message, a.RetryAfter = rekey.AnswerRateLimited, "not sent: "+paused.Error(), paused.For
	case errors.Is(err, context.Canceled):
		a.Message = "interrupted before it was asked"
	}
	return a
}
