package gitlab

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const signInPath = "/users/sign_in"

// hostEvidence is what one host was found to be, asked once.
type hostEvidence struct {
	once sync.Once
	text string
}

// headerEvidence says how an answer itself shows that a GitLab gave it.
func headerEvidence(r *reply, e envelope) string {
	switch {
	case r.header.Get("X-Gitlab-Meta") != "":
		return "it sends the header X-Gitlab-Meta"
	case r.header.Get("X-Request-Id") != "" && e.isGitLabs():
		return "it answers with X-Request-Id and GitLab's JSON"
	case strings.Contains(strings.Join(r.header.Values("Set-Cookie"), "\n"), "_gitlab_session="):
		return "it sets GitLab's session cookie"
	}
	return ""
}

// hostEvidence adds to what an answer shows by itself: where a redirect leads,
// and what one request without any token finds on the host. A redirect to https
// of the same host name is looked at there; no other host is asked.
func (q *question) hostEvidence(ctx context.Context, seen, location string) string {
	if seen != "" {
		return seen
	}
	base, err := url.Parse(q.base)
	if err != nil {
		return ""
	}
	if target, err := url.Parse(location); err == nil && location != "" {
		if strings.HasSuffix(target.Path, signInPath) {
			return "it redirects to GitLab's sign-in page"
		}
		if base.Scheme == "http" && target.Scheme == "https" && strings.EqualFold(target.Hostname(), base.Hostname()) {
			base = target
		}
	}
	return q.lookAt(ctx, base.Scheme+"://"+base.Host)
}

func (q *question) lookAt(ctx context.Context, origin string) string {
	q.mu.Lock()
	found := q.evidence[origin]
	if found == nil {
		found = &hostEvidence{}
		q.evidence[origin] = found
	}
	q.mu.Unlock()
	found.once.Do(func() { found.text = q.signIn(ctx, origin) })
	return found.text
}

// signIn asks for GitLab's sign-in page without any credential.
func (q *question) signIn(ctx context.Context, origin string) string {
	if q.opts.Budgets.For(q.base).Wait(ctx, q.Bound) != nil {
		return ""
	}
	ctx, stop := q.Bound.of(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, q.opts.Timeout)
	defer cancel()
	req, err := newRequest(ctx, http.MethodGet, origin+signInPath, q.opts.UserAgent, nil)
	if err != nil {
		return ""
	}
	req.Header.Set("Accept", "text/html, application/json")
	r := exchange(q.client, req)
	if r.err != nil {
		return ""
	}
	if text := headerEvidence(r, parseEnvelope(r.body)); text != "" {
		return text
	}
	if r.status == http.StatusOK && (bytes.Contains(r.body, []byte(`content="GitLab"`)) || bytes.Contains(r.body, []byte(signInPath))) {
		return "it shows GitLab's sign-in page"
	}
	return ""
}
