package gitlab

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey"
)

const createPath = "POST /api/v4/user/runners"

func instanceRunner() rekey.NewRunner {
	return rekey.NewRunner{Scope: rekey.ScopeInstance, Description: "d", Tags: []string{"rekey-op"}, MaximumTimeout: time.Hour}
}

func TestCreateSealsBeforeItParses(t *testing.T) {
	t.Parallel()
	const body = `{"id":9171,"token":"glrt-CANARYnewnewnewnewn","token_expires_at":"2026-09-27T21:05:03.203Z"}`
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := newFake(t, map[string]canned{createPath: {201, body, header("Date", date.Format(http.TimeFormat))}})
	var sealed []string
	issued, err := testClient(t, f.URL).CreateRunner(t.Context(), instanceRunner(), func(raw []byte) error {
		sealed = append(sealed, string(raw))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != 1 || sealed[0] != body {
		t.Errorf("sealed %q, want the raw body once", sealed)
	}
	if issued.ID != 9171 || issued.Token != rekey.NewToken("glrt-CANARYnewnewnewnewn") || !issued.ObtainedAt.Equal(date) || issued.ExpiresAt.Month() != 9 {
		t.Errorf("issued %+v", issued)
	}
	want := `{"description":"d","locked":false,"maximum_timeout":3600,"paused":false,"run_untagged":false,"runner_type":"instance_type","tag_list":["rekey-op"]}`
	if got := f.bodies[createPath]; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if got := f.last[createPath].Header.Get("Private-Token"); got != userToken {
		t.Errorf("Private-Token %q", got)
	}
	again, err := ParseIssued([]byte(sealed[0]))
	if err != nil || again.ID != issued.ID || again.Token != issued.Token || !again.ExpiresAt.Equal(issued.ExpiresAt) {
		t.Errorf("ParseIssued = %+v, %v, want the same", again, err)
	}
}

func TestAnAnswerThatBrokeOffBehindItsLastBraceCounts(t *testing.T) {
	t.Parallel()
	const whole = `{"id":9171,"token":"glrt-CANARYnewnewnewnewn"}`
	for _, body := range []string{whole, whole[:len(whole)-1]} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4096")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		var sealed string
		issued, err := testClient(t, server.URL).CreateRunner(t.Context(), instanceRunner(), func(raw []byte) error {
			sealed = string(raw)
			return nil
		})
		switch {
		case sealed != body:
			t.Errorf("%s: sealed %q, want what arrived", body, sealed)
		case body == whole && (err != nil || issued.ID != 9171):
			t.Errorf("%s: got runner %d, %v, want success", body, issued.ID, err)
		case body != whole && !OutcomeUnknown(err):
			t.Errorf("%s: got %v, want an unknown outcome", body, err)
		}
	}
}

func TestUnreadableAnswersAreSealedAndUnknown(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no token": `{"id":1}`, "no id": `{"token":"glrt-CANARYaaaaaaaaaaaaaa"}`, "not json": `{"id":1,"token":"glrt-CANARYaaaaaaaaaaaaaa`,
		"html": `<html>CANARY</html>`, "odd expiry": `{"id":1,"token":"glrt-CANARYaaaaaaaaaaaaaa","token_expires_at":"soon"}`,
	} {
		f := newFake(t, map[string]canned{createPath: {201, body, nil}})
		var sealed string
		issued, err := testClient(t, f.URL).CreateRunner(t.Context(), instanceRunner(), func(raw []byte) error { sealed = string(raw); return nil })
		if !OutcomeUnknown(err) || sealed != body || !issued.Token.IsZero() {
			t.Errorf("%s: %v, sealed %q, want unknown with the body sealed", name, err, sealed)
		}
		sweep(t, err)
	}
}

func TestTruncatedAnswerIsSealedAsFarAsItCame(t *testing.T) {
	t.Parallel()
	const part = `{"id":9171,"token":"glrt-CANARYnewnewnewnewn"`
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Length", "200")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, part)
	}))
	defer srv.Close()
	for name, act := range map[string]func(*Client, Seal) error{
		"create": func(c *Client, s Seal) error { _, err := c.CreateRunner(t.Context(), instanceRunner(), s); return err },
		"reset":  func(c *Client, s Seal) error { _, err := c.ResetRunner(t.Context(), 7, s); return err },
	} {
		var sealed string
		requests.Store(0)
		err := act(testClient(t, srv.URL), func(raw []byte) error { sealed = string(raw); return nil })
		if !OutcomeUnknown(err) || rekey.KindOf(err) != rekey.KindUnavailable || sealed != part || requests.Load() != 1 {
			t.Errorf("%s: %v, sealed %q after %d requests, want unknown, %q, 1", name, err, sealed, requests.Load(), part)
		}
		sweep(t, err)
	}
}

func TestFailedSealLosesNothingSilently(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	f := newFake(t, map[string]canned{createPath: {201, `{"id":1,"token":"glrt-CANARYaaaaaaaaaaaaaa"}`, nil}})
	issued, err := testClient(t, f.URL).CreateRunner(t.Context(), instanceRunner(), func([]byte) error { return full })
	if !OutcomeUnknown(err) || !errors.Is(err, full) || !issued.Token.IsZero() {
		t.Errorf("got %+v, %v, want an unknown outcome that wraps the seal's error", issued, err)
	}
}

func TestFailuresOfCreate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		body    string
		kind    rekey.Kind
		hint    string
		says    string
		unknown bool
	}{
		{401, `{"message":"401 Unauthorized"}`, rekey.KindDenied, "create_runner", "refuses", false},
		{403, `{"error":"insufficient_scope","error_description":"x","scope":"api create_runner"}`, rekey.KindDenied, "create_runner (or api)", "scope", false},
		{403, `{"message":"403 Forbidden - Insufficient permissions"}`, rekey.KindDenied, "administrator", "Insufficient permissions", false},
		{400, `{"message":"400 Bad request - Tags list can not be empty when runner is not allowed to pick untagged jobs"}`, rekey.KindInvalid, "", "Tags list", false},
		{400, `{"error":"runner_type is missing, runner_type does not have a valid value"}`, rekey.KindInvalid, "", "runner_type is missing", false},
		{400, `{"message":{"maximum_timeout":["needs to be at least 10 minutes"]}}`, rekey.KindInvalid, "", "maximum_timeout: needs to be", false},
		{404, `{"error":"404 Not Found"}`, rekey.KindNotFound, "", "no such endpoint", false},
		{429, `Retry later`, rekey.KindUnavailable, "", "rate", false},
		{500, `{"message":"500 Internal Server Error"}`, rekey.KindUnavailable, "", "not known", true},
		{502, `<html>Bad Gateway</html>`, rekey.KindUnavailable, "", "not known", true},
		{504, ``, rekey.KindUnavailable, "", "not known", true},
	} {
		f := newFake(t, map[string]canned{createPath: {c.status, c.body, nil}})
		_, err := testClient(t, f.URL).CreateRunner(t.Context(), instanceRunner(), func([]byte) error { t.Errorf("%d sealed", c.status); return nil })
		if rekey.KindOf(err) != c.kind || OutcomeUnknown(err) != c.unknown || !strings.Contains(err.Error(), c.says) || !strings.Contains(rekey.HintOf(err), c.hint) {
			t.Errorf("%d %s: %v (%s, unknown %v, hint %q), want %s, %v, %q, %q", c.status, c.body, err, rekey.KindOf(err), OutcomeUnknown(err), rekey.HintOf(err), c.kind, c.unknown, c.says, c.hint)
		}
		if f.calls(createPath) != 1 {
			t.Errorf("%d: %d requests, want 1", c.status, f.calls(createPath))
		}
		sweep(t, err)
	}
}

func TestLostAnswerIsUnknownLostConnectionIsNot(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, _ := w.(http.Hijacker).Hijack()
		_ = conn.Close()
	}))
	c := testClient(t, srv.URL)
	if _, err := c.ResetRunner(t.Context(), 7, nil); !OutcomeUnknown(err) || requests.Load() != 1 {
		t.Errorf("lost answer: %v after %d requests, want unknown after 1", err, requests.Load())
	}
	if err := c.DeleteRunner(t.Context(), 7); !OutcomeUnknown(err) || requests.Load() != 2 {
		t.Errorf("lost answer through client-go: %v after %d requests, want unknown after 2", err, requests.Load())
	}
	srv.Close()
	if _, err := c.ResetRunner(t.Context(), 7, nil); err == nil || OutcomeUnknown(err) {
		t.Errorf("no connection: %v, want a known failure", err)
	}
	if err := c.DeleteRunner(t.Context(), 7); err == nil || OutcomeUnknown(err) {
		t.Errorf("no connection through client-go: %v, want a known failure", err)
	}
}

func TestInterruptDoesNotCutAnAnswerOff(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		interrupt()
		w.WriteHeader(201)
		_, _ = io.WriteString(w, `{"token":"glrt-CANARYaaaaaaaaaaaaaa","token_expires_at":null}`)
	}))
	defer srv.Close()
	issued, err := testClient(t, srv.URL).ResetRunner(ctx, 7, func([]byte) error { return nil })
	if err != nil || issued.Token.IsZero() || issued.ID != 0 || !issued.ExpiresAt.IsZero() {
		t.Errorf("got %+v, %v, want the token in spite of the interrupt", issued, err)
	}
	if _, err := testClient(t, srv.URL).ResetRunner(ctx, 7, nil); err == nil || OutcomeUnknown(err) {
		t.Errorf("interrupted before: %v, want a known failure", err)
	}
}

func TestCreateBodies(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{createPath: {201, `{"id":1,"token":"glrt-CANARYaaaaaaaaaaaaaa"}`, nil}})
	c := testClient(t, f.URL)
	seal := func([]byte) error { return nil }
	for want, n := range map[string]rekey.NewRunner{
		`"group_id":5`:   {Scope: rekey.ScopeGroup, Owner: 5},
		`"project_id":6`: {Scope: rekey.ScopeProject, Owner: 6, RunUntagged: true, Locked: true, AccessLevel: "ref_protected", MaintenanceNote: "n"},
	} {
		if _, err := c.CreateRunner(t.Context(), n, seal); err != nil || !strings.Contains(f.bodies[createPath], want) {
			t.Errorf("sent %s, %v, want %s", f.bodies[createPath], err, want)
		}
	}
	for _, n := range []rekey.NewRunner{{}, {Scope: rekey.ScopeGroup}, {Scope: "other", Owner: 1}} {
		before := f.calls(createPath)
		if _, err := c.CreateRunner(t.Context(), n, seal); rekey.KindOf(err) != rekey.KindInvalid || f.calls(createPath) != before {
			t.Errorf("%+v: %v, want invalid without a request", n, err)
		}
	}
}
