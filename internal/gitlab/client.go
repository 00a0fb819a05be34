package gitlab

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"
	"golang.org/x/time/rate"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/redact"
)

// changeTimeout bounds a request that changes state. It outlives an interrupt:
// to give up on an answer that holds a token shown once would lose the token.
const changeTimeout = 60 * time.Second

// Client works on one GitLab with one user's token, which it sends there and
// nowhere else. Reads are repeated a few times after 429, 502 to 504 and lost
// connections; changes never. Errors are *rekey.Error: denied names the scope or
// the role that is missing. It is safe for concurrent use.
type Client struct {
	base   string
	opts   Options
	http   *http.Client
	api    *api.Client
	budget *Budget
	scrub  *redact.Scrubber
	bound  Bound // nil: Options.Patience for each question
}

// NewClient checks the options; it sends nothing.
func NewClient(o Options) (*Client, error) {
	base, err := HostURL(o.URL)
	if err != nil {
		return nil, err
	}
	if err := checkUserToken(o.Token); err != nil {
		return nil, err
	}
	hc, err := newHTTPClient(tlsFiles{ca: o.CAFile, pem: o.PEM})
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "%w", err)
	}
	o = o.withDefaults()
	c := &Client{base: base, opts: o, http: hc, budget: o.Budgets.For(base), scrub: redact.NewScrubber(o.Token)}
	hc.Transport = &guard{next: hc.Transport, base: base, token: o.Token, budget: c.budget}
	c.api, err = api.NewClient("", api.WithBaseURL(base), api.WithHTTPClient(hc), api.WithUserAgent(o.UserAgent), api.WithoutRetries(),
		api.WithCustomLimiter(rate.NewLimiter(rate.Inf, 0)), api.WithURLWarningLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "%w", err)
	}
	return c, nil
}

// URL returns the GitLab's base URL, without /api/v4 and a trailing slash.
func (c *Client) URL() string { return c.base }

// WithBound returns a client like c whose questions share bound instead of having
// Options.Patience each.
func (c *Client) WithBound(bound Bound) *Client {
	bounded := *c
	bounded.bound = bound
	return &bounded
}

// Budget returns the budget this client shares.
func (c *Client) Budget() *Budget { return c.budget }

var headerValue = regexp.MustCompile(`^[\x21-\x7e]+$`)

func checkUserToken(t rekey.Token) error {
	hint := "make one under Preferences, Access tokens, and give it as GITLAB_TOKEN"
	switch kind := t.Kind(); {
	case t.IsZero():
		return rekey.Errorf(rekey.KindInvalid, "there is no user token").WithHint("%s", hint)
	case !headerValue.MatchString(t.Reveal()):
		return rekey.Errorf(rekey.KindInvalid, "the user token holds a character that no token has, such as a newline or a quote").WithHint("%s", hint)
	case kind == rekey.TokenRunner, kind == rekey.TokenRegistration, kind == rekey.TokenJob, kind == rekey.TokenDeploy, kind == rekey.TokenTrigger:
		return rekey.Errorf(rekey.KindInvalid, "the user token is a %s token, which GitLab's API does not take", kind).WithHint("%s", hint)
	}
	return nil
}

// errElsewhere is a defect: something wanted to send the token to another URL.
var errElsewhere = errors.New("a request to another URL than the GitLab the user token was given for was stopped")

// oauthToken is what GitLab's OAuth issues; everything else is a PAT.
var oauthToken = regexp.MustCompile(`^[0-9a-f]{64}$`)

// guard is the only place where the user token enters a request, and only one
// to its own GitLab. It keeps error bodies readable after client-go has closed
// them: client-go drops the body of a 404, which alone tells a record that is
// gone from a route that this version does not have.
type guard struct {
	next   http.RoundTripper
	base   string
	token  rekey.Token
	budget *Budget
}

// RoundTrip sends a copy of req with the token.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if !g.owns(req.URL) {
		return nil, errElsewhere
	}
	req = req.Clone(req.Context())
	req.Header.Del("Private-Token")
	if oauthToken.MatchString(g.token.Reveal()) {
		req.Header.Set("Authorization", "Bearer "+g.token.Reveal())
	} else {
		req.Header.Set("Private-Token", g.token.Reveal())
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	g.budget.Observe(resp.StatusCode, resp.Header)
	if resp.StatusCode >= 300 {
		resp.Body = keepBody(resp.Body)
		return resp, nil
	}
	resp.Body = limitedBody{io.LimitReader(resp.Body, successLimit), resp.Body}
	return resp, nil
}

func (g *guard) owns(u *url.URL) bool {
	base, err := url.Parse(g.base)
	return err == nil && originKey(base) == originKey(u) && strings.HasPrefix(u.Path, strings.TrimRight(base.Path, "/")+apiPath)
}

// successLimit bounds what one answer may cost in memory: a page of records, or
// a job's log.
const successLimit = 32 << 20

type limitedBody struct {
	io.Reader
	io.Closer
}

// keptBody can be read again after Close.
type keptBody struct {
	data []byte
	at   int
}

func keepBody(body io.ReadCloser) *keptBody {
	defer drain(body)
	data, _ := io.ReadAll(io.LimitReader(body, bodyLimit))
	return &keptBody{data: data}
}

// Read reads on.
func (b *keptBody) Read(p []byte) (int, error) {
	if b.at == len(b.data) {
		return 0, io.EOF
	}
	n := copy(p, b.data[b.at:])
	b.at += n
	return n, nil
}

// Close rewinds.
func (b *keptBody) Close() error {
	b.at = 0
	return nil
}

// call is one request through client-go.
type call func(...api.RequestOptionFunc) (*api.Response, error)

// read makes a request that changes nothing, and repeats it where that may help.
func (c *Client) read(ctx context.Context, op operation, do call) error {
	bound := c.bound
	if bound == nil {
		bound = within(c.opts.Patience, c.opts.Now)
	}
	var last error
	for try := 1; ; try++ {
		if err := c.budget.Wait(ctx, bound); err != nil {
			if last != nil {
				return last
			}
			return c.unsent(op, err)
		}
		bounded, stop := bound.of(ctx)
		failed := c.once(bounded, c.opts.Timeout, op, do)
		stop()
		if failed == nil {
			return nil
		}
		last = failed.err
		if !failed.again || try == attempts || ctx.Err() != nil {
			return last
		}
		if !failed.limited && (try == 3 || sleep(ctx, 100*time.Millisecond<<try) != nil) {
			return last
		}
	}
}

// change makes a request that changes state: once, and to its end even when the
// caller is interrupted.
func (c *Client) change(ctx context.Context, name string, op operation, do call) error {
	op.changes = true
	if err := c.budget.Wait(ctx, nil); err != nil {
		return c.unsent(op, err)
	}
	return durable.Call("gitlab."+name, func() error {
		if failed := c.once(context.WithoutCancel(ctx), max(changeTimeout, c.opts.Timeout), op, do); failed != nil {
			return failed.err
		}
		return nil
	})
}

func (c *Client) once(ctx context.Context, timeout time.Duration, op operation, do call) *failed {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ctx, wrote := traceWrites(ctx)
	resp, err := do(api.WithContext(ctx))
	switch {
	case err == nil:
		return nil
	case resp == nil || resp.Response == nil:
		return c.noAnswer(op, err, wrote.Load())
	}
	body, _ := io.ReadAll(resp.Body)
	return c.answered(op, &reply{status: resp.StatusCode, header: resp.Header, body: body})
}

// traceWrites tells whether a request can have reached the server.
func traceWrites(ctx context.Context) (context.Context, *atomic.Bool) {
	var wrote atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { wrote.Store(true) },
		WroteHeaders:     func() { wrote.Store(true) },
	}), &wrote
}

// fetch reads path into a T.
func fetch[T any](ctx context.Context, c *Client, op operation, path string, query any) (T, *api.Response, error) {
	var (
		v    T
		resp *api.Response
	)
	err := c.read(ctx, op, func(options ...api.RequestOptionFunc) (*api.Response, error) {
		var fresh T
		req, err := c.api.NewRequest(http.MethodGet, path, query, options)
		if err != nil {
			return nil, err
		}
		resp, err = c.api.Do(req, &fresh)
		v = fresh
		return resp, err
	})
	return v, resp, err
}
