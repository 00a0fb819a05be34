package gitlab

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey"
)

const (
	discoveryPath = "/api/v4/runners/router/discovery"
	verifyPath    = "/api/v4/runners/verify"
	noRouter      = `{"message":"Job Router is not available. Please contact your administrator."}`
)

var token = rekey.NewToken("glrt-CANARYprobeprobe-_1")

// canned is an answer of the fake GitLab.
type canned struct {
	status int
	body   string
	header http.Header
}

// fake answers by "METHOD path", counts, and keeps what it was sent.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string][]canned
	count   map[string]int
	last    map[string]*http.Request
	bodies  map[string]string
}

func newFake(t *testing.T, answers map[string]canned) *fake {
	t.Helper()
	f := &fake{answers: map[string][]canned{}, count: map[string]int{}, last: map[string]*http.Request{}, bodies: map[string]string{}}
	for k, a := range answers {
		f.answers[k] = []canned{a}
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	key := r.Method + " " + r.URL.EscapedPath()
	f.mu.Lock()
	f.count[key]++
	f.last[key], f.bodies[key] = r, string(body)
	a := canned{404, `{"error":"404 Not Found"}`, nil}
	if queue := f.answers[key]; len(queue) > 0 {
		a = queue[0]
		if len(queue) > 1 {
			f.answers[key] = queue[1:]
		}
	}
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(a.body, "<") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (f *fake) calls(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[key]
}

func (f *fake) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.count {
		n += c
	}
	return n
}

// quietTLS does not log the handshakes that tests mean to fail.
func quietTLS(h http.Handler) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	return srv
}

func testProber() *Prober { return NewProber(Options{Now: time.Now, UserAgent: "rekey/test"}) }

func probe(t *testing.T, url string) rekey.Answer {
	t.Helper()
	a := testProber().Probe(t.Context(), ProbeRequest{URL: url, Token: token, SystemID: "s_0123456789ab"})
	if text := fmt.Sprintf("%+v", a); strings.Contains(text, "CANARY") {
		t.Errorf("the answer holds the token: %s", text)
	}
	if len(a.Message) > 200 {
		t.Errorf("message of %d bytes, want at most 200", len(a.Message))
	}
	return a
}

func TestDiscoveryDecidesAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		want   rekey.AnswerKind
	}{
		{200, `{"server_url":"wss://kas.example.com"}`, rekey.AnswerAccepted},
		{501, noRouter, rekey.AnswerAccepted},
		{403, `{"message":"403 Forbidden"}`, rekey.AnswerRefused},
		{403, `{"message":"403 Forbidden - something else"}`, rekey.AnswerUnexpected},
		{403, `{"message":"403 forbidden"}`, rekey.AnswerUnexpected},
		{403, `{"message":"Forbidden"}`, rekey.AnswerUnexpected},
		{403, `{"Message":"403 Forbidden"}`, rekey.AnswerUnreachable},
		{403, `{"error":"403 Forbidden"}`, rekey.AnswerUnexpected},
		{403, `{"message":{"a":"403 Forbidden"}}`, rekey.AnswerUnexpected},
		{403, `{"message":["403 Forbidden"]}`, rekey.AnswerUnexpected},
		{403, `{"error":"insufficient_scope","message":"403 Forbidden"}`, rekey.AnswerUnexpected},
		{403, `{"message":"403 Forbidden"`, rekey.AnswerUnreachable},
		{403, `403 Forbidden`, rekey.AnswerUnreachable},
		{403, `"403 Forbidden"`, rekey.AnswerUnreachable},
		{403, `<html><title>403 Forbidden</title>{"message":"403 Forbidden"}</html>`, rekey.AnswerUnreachable},
		{401, `{"message":"403 Forbidden"}`, rekey.AnswerUnexpected},
		{501, `{"message":"Job Router is not available."}`, rekey.AnswerUnexpected},
		{501, `<html>Not Implemented</html>`, rekey.AnswerUnreachable},
		{200, `<html>welcome to the portal</html>`, rekey.AnswerUnreachable},
		{200, `{}`, rekey.AnswerUnreachable},
		{200, ``, rekey.AnswerUnreachable},
		{404, `<html>no</html>`, rekey.AnswerNotFound},
		{500, `{"message":"500 Internal Server Error"}`, rekey.AnswerUnreachable},
		{502, `<html>Bad Gateway</html>`, rekey.AnswerUnreachable},
		{503, ``, rekey.AnswerUnreachable},
		{422, `{"message":"Runner is orphaned"}`, rekey.AnswerOrphaned},
	} {
		f := newFake(t, map[string]canned{"GET " + discoveryPath: {c.status, c.body, nil}})
		a := probe(t, f.URL)
		if a.Kind != c.want || a.Status != c.status {
			t.Errorf("%d %s: kind %q status %d, want %q", c.status, c.body, a.Kind, a.Status, c.want)
		}
		if want := "GET " + f.URL + discoveryPath; a.Request != want {
			t.Errorf("Request = %q, want %q", a.Request, want)
		}
		if a.At.IsZero() || a.ServerTime.IsZero() {
			t.Errorf("%d: At %v, ServerTime %v, want both", c.status, a.At, a.ServerTime)
		}
		if n := f.calls("POST " + verifyPath); n != 0 {
			t.Errorf("%d %s: verify was sent %d times, want 0", c.status, c.body, n)
		}
	}
}

func TestVerifyDecidesOnOlderServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		want   rekey.AnswerKind
	}{
		{200, `{"id":12345,"token":"glrt-CANARYprobeprobe-_1","token_expires_at":"2026-09-27T21:05:03.203Z"}`, rekey.AnswerAccepted},
		{200, `{"id":7,"token":"x","token_expires_at":null}`, rekey.AnswerAccepted},
		{200, `200`, rekey.AnswerAccepted},
		{200, `{"message":"hello"}`, rekey.AnswerUnexpected},
		{200, `<html>login</html>`, rekey.AnswerUnreachable},
		{403, `{"message":"403 Forbidden"}`, rekey.AnswerRefused},
		{403, `{"message":"403 Forbidden - Runner is orphaned"}`, rekey.AnswerOrphaned},
		{422, `{"message":"Runner is orphaned"}`, rekey.AnswerOrphaned},
		{403, `{"message":"You cannot perform write operations on a read-only instance"}`, rekey.AnswerReadOnly},
		{403, `{"error":"insufficient_scope","error_description":"x","scope":"api"}`, rekey.AnswerUnexpected},
		{403, `<html>blocked by the WAF</html>`, rekey.AnswerUnreachable},
		{400, `{"error":"token is missing"}`, rekey.AnswerUnexpected},
		{404, `{"error":"404 Not Found"}`, rekey.AnswerNotFound},
		{500, `{"message":"500 Internal Server Error"}`, rekey.AnswerUnreachable},
	} {
		f := newFake(t, map[string]canned{"POST " + verifyPath: {c.status, c.body, nil}})
		a := probe(t, f.URL)
		if a.Kind != c.want {
			t.Errorf("%d %s: kind %q, want %q (%s)", c.status, c.body, a.Kind, c.want, a.Message)
		}
		if want := `{"token":"glrt-CANARYprobeprobe-_1","system_id":"s_0123456789ab"}`; f.bodies["POST "+verifyPath] != want {
			t.Errorf("sent %s, want %s", f.bodies["POST "+verifyPath], want)
		}
	}
}

func TestAcceptedVerifyTellsIdAndExpiry(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"POST " + verifyPath: {200, `{"id":12345,"token":"x","token_expires_at":"2026-09-27T21:05:03.203Z"}`, nil}})
	a := probe(t, f.URL)
	if want := time.Date(2026, 9, 27, 21, 5, 3, 203e6, time.UTC); a.RunnerID != 12345 || !a.ExpiresAt.Equal(want) {
		t.Errorf("id %d, expires %s, want 12345, %s", a.RunnerID, a.ExpiresAt, want)
	}
}

func TestNoVerifyWithoutSystemID(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"POST " + verifyPath: {200, `{"id":1}`, nil}})
	p := testProber()
	a := p.Probe(t.Context(), ProbeRequest{URL: f.URL, Token: token, PreferVerify: true})
	if a.Kind != rekey.AnswerNotAsked || !strings.Contains(a.Message, "system id") || f.calls("POST "+verifyPath) != 0 {
		t.Errorf("got %q %q after %d verifies, want not-asked, the reason, 0", a.Kind, a.Message, f.calls("POST "+verifyPath))
	}
	a = p.Probe(t.Context(), ProbeRequest{URL: f.URL, Token: token, AllowVerifyWithoutSystemID: true})
	if a.Kind != rekey.AnswerAccepted || f.bodies["POST "+verifyPath] != `{"token":"glrt-CANARYprobeprobe-_1"}` {
		t.Errorf("allowed: got %q, sent %s, want accepted without a system id", a.Kind, f.bodies["POST "+verifyPath])
	}
}

func TestPreferVerifySkipsDiscovery(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"POST " + verifyPath: {200, `{"id":1}`, nil}, "GET " + discoveryPath: {501, noRouter, nil}})
	a := testProber().Probe(t.Context(), ProbeRequest{URL: f.URL, Token: token, SystemID: "s_0123456789ab", PreferVerify: true})
	if a.Kind != rekey.AnswerAccepted || f.calls("GET "+discoveryPath) != 0 {
		t.Errorf("got %q after %d discoveries, want accepted after 0", a.Kind, f.calls("GET "+discoveryPath))
	}
}

func TestCapabilityIsLearntOnceByManySections(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"POST " + verifyPath: {200, `{"id":1}`, nil}})
	p := testProber()
	var wg sync.WaitGroup
	var accepted atomic.Int64
	for i := range 300 {
		wg.Go(func() {
			url := []string{f.URL, f.URL + "/", f.URL + "/ci"}[i%3]
			if p.Probe(t.Context(), ProbeRequest{URL: url, Token: token, SystemID: "s_0123456789ab"}).Kind == rekey.AnswerAccepted {
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 300 || f.calls("GET "+discoveryPath) != 1 || f.calls("POST "+verifyPath) != 300 {
		t.Errorf("%d accepted, %d discoveries, %d verifies, want 300, 1, 300", accepted.Load(), f.calls("GET "+discoveryPath), f.calls("POST "+verifyPath))
	}
	if has, known := p.HasDiscovery(f.URL); has || !known {
		t.Errorf("HasDiscovery = %v, %v, want false, true", has, known)
	}
}

func TestServerThatTeachesNothingDoesNotQueueSections(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	together := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n == 9:
			close(together)
		case n > 1:
			select {
			case <-together:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(502)
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p := testProber()
	p.Probe(ctx, ProbeRequest{URL: srv.URL, Token: token})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { p.Probe(ctx, ProbeRequest{URL: srv.URL, Token: token}) })
	}
	wg.Wait()
	select {
	case <-together:
	default:
		t.Errorf("%d requests, want nine, eight of them at once", asked.Load())
	}
}

func TestDiscoverySendsTheTokenInItsHeaderOnly(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"GET " + discoveryPath: {501, noRouter, nil}})
	probe(t, f.URL)
	r := f.last["GET "+discoveryPath]
	if got := r.Header.Get("Runner-Token"); got != token.Reveal() {
		t.Errorf("Runner-Token = %q, want the token", got)
	}
	if r.URL.RawQuery != "" || r.Header.Get("User-Agent") != "rekey/test" || r.Header.Get("Private-Token") != "" {
		t.Errorf("query %q, agent %q, want none, rekey/test", r.URL.RawQuery, r.Header.Get("User-Agent"))
	}
}

func TestSubPathIsKept(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"GET /gitlab" + discoveryPath: {501, noRouter, nil}})
	if a := probe(t, f.URL+"/gitlab/ci/"); a.Kind != rekey.AnswerAccepted {
		t.Errorf("got %q %s, want accepted", a.Kind, a.Message)
	}
}

func TestRedirectIsReportedNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newFake(t, nil)
	for _, c := range []struct{ name, location, wantIs string }{
		{"sign-in", "/users/sign_in", "it redirects to GitLab's sign-in page"},
		{"foreign", elsewhere.URL + "/login", ""},
	} {
		f := newFake(t, map[string]canned{"GET " + discoveryPath: {302, "", header("Location", c.location)}})
		f.answers["GET /users/sign_in"] = []canned{{200, "<html>intranet</html>", nil}}
		a := probe(t, f.URL)
		want := c.location
		if strings.HasPrefix(want, "/") {
			want = f.URL + want
		}
		if a.Kind != rekey.AnswerRedirected || a.Location != want || a.IsGitLab != c.wantIs {
			t.Errorf("%s: got %q, location %q, is %q, want redirected, %q, %q", c.name, a.Kind, a.Location, a.IsGitLab, want, c.wantIs)
		}
	}
	if n := elsewhere.total(); n != 0 {
		t.Errorf("the target got %d requests, want 0", n)
	}
}

func TestHostEvidenceIsOneRequestWithoutToken(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]struct {
		canned
		want string
	}{
		"page":    {canned{200, `<html><meta content="GitLab" property="og:site_name"></html>`, nil}, "it shows GitLab's sign-in page"},
		"header":  {canned{404, `<html></html>`, header("X-Gitlab-Meta", `{"correlation_id":"x"}`)}, "it sends the header X-Gitlab-Meta"},
		"another": {canned{200, `<html>Jenkins</html>`, nil}, ""},
		"missing": {canned{404, `<html>nginx</html>`, nil}, ""},
	} {
		f := newFake(t, map[string]canned{"GET /users/sign_in": page.canned, "GET /group/project" + discoveryPath: {404, "<html>404</html>", nil}})
		p := testProber()
		for range 3 {
			a := p.Probe(t.Context(), ProbeRequest{URL: f.URL + "/group/project", Token: token, SystemID: "s_0123456789ab"})
			if a.Kind != rekey.AnswerNotFound || a.IsGitLab != page.want {
				t.Errorf("%s: got %q, is %q, want not-found, %q", name, a.Kind, a.IsGitLab, page.want)
			}
		}
		if n := f.calls("GET /users/sign_in"); n != 1 {
			t.Errorf("%s: the sign-in page was asked %d times, want 1", name, n)
		}
		for k, v := range f.last["GET /users/sign_in"].Header {
			if strings.Contains(strings.Join(v, ""), "CANARY") {
				t.Errorf("%s: the token went to the sign-in page in %s", name, k)
			}
		}
	}
}

func TestRetryAfterIsHonouredWithinTheDeadline(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.answers["GET "+discoveryPath] = []canned{{429, "Retry later", header("Retry-After", "1")}, {501, noRouter, nil}}
	start := time.Now()
	if a := probe(t, f.URL); a.Kind != rekey.AnswerAccepted || time.Since(start) < time.Second {
		t.Errorf("got %q after %s, want accepted after a second", a.Kind, time.Since(start))
	}
	f = newFake(t, map[string]canned{"GET " + discoveryPath: {429, `{"message":{"error":"This endpoint has been requested too many times. Try again later."}}`, header("Retry-After", "60")}})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	p, start := testProber(), time.Now()
	a := p.Probe(ctx, ProbeRequest{URL: f.URL, Token: token})
	if a.Kind != rekey.AnswerRateLimited || a.RetryAfter != time.Minute || time.Since(start) > 3*time.Second || f.total() != 1 {
		t.Errorf("got %q, RetryAfter %s after %s and %d requests, want rate-limited, 1m at once and 1", a.Kind, a.RetryAfter, time.Since(start), f.total())
	}
	a = p.Probe(ctx, ProbeRequest{URL: f.URL, Token: token})
	if a.Kind != rekey.AnswerRateLimited || a.Status != 0 || f.total() != 1 {
		t.Errorf("next section: got %q status %d and %d requests, want rate-limited without a request", a.Kind, a.Status, f.total())
	}
}

func TestServerEchoingTheTokenLeaksNothing(t *testing.T) {
	t.Parallel()
	legacy := rekey.NewToken("CANARYlegacy01234567")
	f := newFake(t, map[string]canned{"GET " + discoveryPath: {400, `{"message":"bad token CANARYlegacy01234567 (Q0FOQVJZbGVnYWN5MDEyMzQ1Njc=)"}`, nil}})
	a := testProber().Probe(t.Context(), ProbeRequest{URL: f.URL, Token: legacy})
	if strings.Contains(a.Message, "CANARY") || strings.Contains(a.Message, "Q0FOQVJZ") || !strings.Contains(a.Message, "bad token") {
		t.Errorf("message %q, want it without the token", a.Message)
	}
}

func TestUnsendableTokensAndBadURLsAskNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	for _, text := range []string{"", "glrt-CANARY aaaaaaaaaaaaa", "glrt-CANARYaaaaaaaaaaaaaa\n", "glpat-CANARYaaaaaaaaaaaaaa", "GR1348941CANARYaaaaaaaaaaaaaa", "${CANARY}"} {
		a := testProber().Probe(t.Context(), ProbeRequest{URL: f.URL, Token: rekey.NewToken(text), SystemID: "s_0123456789ab"})
		if a.Kind != rekey.AnswerNotAsked || a.Message == "" {
			t.Errorf("%q: got %q %q, want not-asked with a reason", text, a.Kind, a.Message)
		}
	}
	for _, url := range []string{"", "gitlab.example.com", `"https://h"`} {
		if a := probe(t, url); a.Kind != rekey.AnswerBadURL {
			t.Errorf("%q: got %q, want bad-url", url, a.Kind)
		}
	}
	if f.total() != 0 {
		t.Errorf("%d requests, want 0", f.total())
	}
}

func TestTransportFailuresAreInWords(t *testing.T) {
	t.Parallel()
	tlsServer := quietTLS(http.NotFoundHandler())
	defer tlsServer.Close()
	plain := newFake(t, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	hangup := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		_ = conn.Close()
	}))
	defer hangup.Close()
	for url, want := range map[string]string{
		tlsServer.URL: "unknown authority", "http://" + closed: "refused",
		strings.Replace(plain.URL, "http:", "https:", 1): "plain HTTP", hangup.URL: "closed before",
	} {
		a := probe(t, url)
		if a.Kind != rekey.AnswerUnreachable || a.Status != 0 || !strings.Contains(a.Message, want) {
			t.Errorf("%s: got %q %q, want unreachable saying %q", url, a.Kind, a.Message, want)
		}
	}
}

func TestSectionsOwnCA(t *testing.T) {
	t.Parallel()
	srv := quietTLS(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(501)
		_, _ = io.WriteString(w, noRouter)
	}))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	p := testProber()
	if a := p.Probe(t.Context(), ProbeRequest{URL: srv.URL, Token: token, TLSCAFile: ca}); a.Kind != rekey.AnswerAccepted {
		t.Errorf("with the CA: got %q %q, want accepted", a.Kind, a.Message)
	}
	for _, file := range []string{"", filepath.Join(t.TempDir(), "missing.pem")} {
		if a := p.Probe(t.Context(), ProbeRequest{URL: srv.URL, Token: token, TLSCAFile: file}); a.Kind != rekey.AnswerUnreachable {
			t.Errorf("with %q: got %q, want unreachable", file, a.Kind)
		}
	}
}

func TestTimeoutAndTruncation(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/cut/") {
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(403)
			_, _ = io.WriteString(w, `{"message":"403 Forbidden"}`)
			return
		}
		<-stop
	}))
	defer srv.Close()
	defer close(stop)
	p := NewProber(Options{Now: time.Now, Timeout: 50 * time.Millisecond})
	if a := p.Probe(t.Context(), ProbeRequest{URL: srv.URL, Token: token}); a.Kind != rekey.AnswerUnreachable || !strings.Contains(a.Message, "time given") {
		t.Errorf("silent server: got %q %q, want unreachable", a.Kind, a.Message)
	}
	if a := probe(t, srv.URL+"/cut"); a.Kind != rekey.AnswerUnreachable || !strings.Contains(a.Message, "broke off") {
		t.Errorf("truncated 403: got %q %q, want unreachable", a.Kind, a.Message)
	}
}

func TestEndlessBodyIsBounded(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"GET " + discoveryPath: {403, "<html>" + strings.Repeat("x", 1<<20), nil}})
	if a := probe(t, f.URL); a.Kind != rekey.AnswerUnreachable {
		t.Errorf("got %q, want unreachable", a.Kind)
	}
}

func TestProbeRegistration(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, c := range []struct {
		status int
		body   string
		want   *bool
	}{
		{410, `{"message":"410 Gone - runner registration disallowed"}`, &no},
		{410, `{"error":"API V3 is no longer supported. Use API V4 instead."}`, nil},
		{403, `{"message":"403 Forbidden - invalid token supplied"}`, &yes},
		{403, `{"message":"403 Forbidden"}`, &yes},
		{403, `{"message":"You cannot perform write operations on a read-only instance"}`, nil},
		{403, `<html>WAF</html>`, nil},
		{500, `{"message":"500 Internal Server Error"}`, nil},
		{302, ``, nil},
	} {
		f := newFake(t, map[string]canned{"POST /api/v4/runners": {c.status, c.body, nil}})
		got, evidence := testProber().ProbeRegistration(t.Context(), f.URL, "")
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%d %s: got %v, want %v", c.status, c.body, got, c.want)
		}
		if evidence.Seen == "" || evidence.Where != "POST "+f.URL+"/api/v4/runners" || evidence.At.IsZero() {
			t.Errorf("evidence %+v, want seen, where and when", evidence)
		}
		var sent map[string]string
		if err := json.Unmarshal([]byte(f.bodies["POST /api/v4/runners"]), &sent); err != nil || len(sent) != 1 || len(sent["token"]) < 20 {
			t.Errorf("sent %v, want one random token", f.bodies)
		}
	}
}
