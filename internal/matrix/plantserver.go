package matrix

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

// serverScenarios are what the GitLab itself does, or what stands before it.
var serverScenarios = []Scenario{
	{
		Cause: "server-restored", Name: "restored from a backup: an older token works again", Own: true,
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			before := w.Planted(r)
			w.snapshot()
			after := w.Planted(w.Reset(r))
			before.Name, after.Obtained = "before", w.Before(age/2)
			w.restore()
			w.Config("one", thisHost, before)
			w.Config("two", otherHost, after)
		},
		Cells: []Cell{{Verdict: "invalid", Answer: "server-restored likely"}},
	},
	{
		Cause: "server-restored", Name: "restored from a backup: what was made since is gone", Own: true,
		Plant: func(w *World) {
			old := w.Planted(w.Made("instance", 0, nil))
			old.Name = "before"
			w.snapshot()
			var since []Section
			for _, name := range []string{"planted one", "planted two", "planted three"} {
				since = append(since, named(name, w.Planted(w.Made("instance", 0, nil))))
			}
			w.restore()
			w.Config("host", thisHost, append(since, old)...)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "server-restored likely"},
			{Who: Alone, Verdict: "invalid", Answer: "server-restored possible | record-deleted possible | rotated-elsewhere possible | wrong-instance possible"},
		},
	},
	{
		Cause: "server-restored", Name: "restored from a backup: one runner made since is gone", Own: true,
		Plant: func(w *World) {
			w.snapshot()
			s := w.Planted(w.Made("instance", 0, nil))
			w.restore()
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "server-restored possible | record-deleted likely | wrong-instance possible"},
			{Who: Alone, Verdict: "invalid", Answer: "server-restored possible | record-deleted possible | rotated-elsewhere possible | wrong-instance possible"},
		},
	},
	{
		Cause: "server-restored", Name: "rebuilt without its gitlab-secrets.json", Own: true,
		Plant: func(w *World) {
			w.Group(w.Unique("team"), 0) // every GitLab has one, and its registration token is encrypted
			one, two := w.Planted(w.Made("instance", 0, nil)), w.Planted(w.Made("instance", 0, nil))
			w.Config("host", thisHost, named("planted one", one), named("planted two", two))
			if err := w.Orders.LoseSecrets(w.T.Context()); err != nil {
				w.T.Fatal(err)
			}
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "server-restored likely"},
			{Who: Alone, Verdict: "invalid", Answer: "server-restored possible | record-deleted possible | rotated-elsewhere possible | wrong-instance possible"},
		},
	},
	{
		Cause: "server-read-only", Name: "maintenance mode",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.maintenance(true)
			w.Undo(func() { w.maintenance(false) })
		},
		Cells: maintenanceCells,
	},
	{
		Cause: "server-read-only", Name: "maintenance mode, and a group's runner that has worked before",
		Plant: func(w *World) {
			r := w.Made("group", w.Group(w.Unique("team"), 0), nil)
			w.Poll(r.Token, thisHost, w.Version+".0")
			w.Config("host", thisHost, w.Planted(r))
			w.maintenance(true)
			w.Undo(func() { w.maintenance(false) })
		},
		Cells: maintenanceCells,
	},
	{
		Cause: "server-read-only", Name: "the database takes no writes, and the token is good",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.readOnly()
		},
		Cells: readOnlyCells,
	},
	{
		Cause: "not-propagated", Name: "a second after a reset, refused once", EachTime: true,
		Plant: func(w *World) { w.notYet(1) },
		Cells: []Cell{{Verdict: "valid", Answer: "not-propagated certain"}},
	},
	{
		Cause: "not-propagated", Name: "just made, and one node of two does not know it", EachTime: true,
		Plant: func(w *World) { w.notYet(2) },
		Cells: []Cell{{Verdict: "valid", Answer: "not-propagated certain"}},
	},
	{
		Cause: "rotated-elsewhere", Name: "reset again a moment after a reset, which is no delay",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Ago(age, func() { w.Poll(r.Token, thisHost, w.Version+".0") })
			fresh := w.Reset(r)
			s := w.Planted(fresh)
			s.Obtained = w.Before(0)
			w.Reset(r)
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "rotated-elsewhere likely"},
			{Who: Alone, Verdict: "invalid", Answer: "rotated-elsewhere possible | record-deleted possible | server-restored possible | wrong-instance possible"},
		},
	},
	answered("rate-limited", "too many requests from one address", 429, "text/plain", "Retry later\n", "Retry-After", "60"),
	answered("rate-limited", "the application's own limit", 429, "application/json", `{"message":{"error":"This endpoint has been requested too many times. Try again later."}}`, "Retry-After", "60"),
	answered("unreachable", "502 of the proxy before it", 502, "text/html", "<html><body>GitLab is not responding</body></html>"),
	answered("unreachable", "403 of a web application firewall, which is not GitLab's", 403, "text/html", "<html><title>403 Forbidden</title>Request blocked</html>"),
	answered("unreachable", "the sign-in page of a hotel's network", 200, "text/html", "<html>Welcome! Accept the terms.</html>"),
	{
		Cause: "unreachable", Name: "nothing listens there",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.URL = "http://127.0.0.1:1" // a port that was free would soon be another scenario's
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "unknown", Answer: "unreachable certain"}},
	},
	{
		Cause: "unreachable", Name: "a certificate of an unknown CA",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			secure := httptest.NewUnstartedServer(w.handler)
			secure.Config.ErrorLog = log.New(io.Discard, "", 0) // that it is refused is the point
			secure.StartTLS()
			w.Undo(secure.Close)
			s.URL = secure.URL
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "unknown", Answer: "unreachable certain"}},
	},
	answered("unexpected-answer", "GitLab's 403 with another message", 403, "application/json", `{"message":"403 Forbidden - your licence has expired"}`),
	answered("unexpected-answer", "a status that GitLab does not give here", 409, "application/json", `{"message":"409 Conflict: Resource lock"}`),
}

var maintenanceCells = []Cell{
	{Until: "17.11", Verdict: "unknown", Answer: "server-read-only certain"},
	{Who: WithToken, Verdict: "valid", Answer: "server-read-only certain"},
	{Who: Alone, Verdict: "valid", Answer: "not applicable: from 18.7 on the token is judged by a request that reads, which GitLab answers in this state too; the setting is an administrator's to read"},
}

var readOnlyCells = []Cell{
	{Until: "17.11", Verdict: "unknown", Answer: "server-read-only certain"},
	{Verdict: "valid", Answer: "not applicable: from 18.7 on the token is judged by a request that reads, which GitLab answers in this state too"},
}

// answered is a GitLab before which something answers every question about a
// runner token; a user token gets through.
func answered(cause, name string, status int, contentType, body string, header ...string) Scenario {
	return Scenario{
		Cause: cause, Name: name,
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			if status == http.StatusTooManyRequests {
				w.Args = append(w.Args, "--timeout", "300ms")
			}
			w.Front(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if !w.asksOfToken(r) {
						next.ServeHTTP(rw, r)
						return
					}
					rw.Header().Set("Content-Type", contentType)
					for i := 0; i+1 < len(header); i += 2 {
						rw.Header().Set(header[i], header[i+1])
					}
					rw.WriteHeader(status)
					_, _ = io.WriteString(rw, body)
				})
			})
		},
		Cells: []Cell{{Verdict: "unknown", Answer: cause + " certain"}},
	}
}

// asksOfToken tells the question about a runner token that this GitLab's version
// answers.
func (w *World) asksOfToken(r *http.Request) bool {
	if w.AtLeast("18.11") {
		return strings.HasSuffix(r.URL.Path, "/runners/router/discovery")
	}
	return strings.HasSuffix(r.URL.Path, "/runners/verify")
}

// notYet is a fresh token that is refused so often.
func (w *World) notYet(times int64) {
	s := w.Planted(w.Runner("instance", 0, labtest.M{"run_untagged": true}))
	s.Obtained = w.Before(0)
	var asked atomic.Int64
	w.Front(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !w.asksOfToken(r) || asked.Add(1) > times {
				next.ServeHTTP(rw, r)
				return
			}
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(rw, `{"message":"403 Forbidden"}`)
		})
	})
	w.Config("host", thisHost, s)
}

func (w *World) maintenance(on bool) {
	if err := w.Orders.SetMaintenance(w.T.Context(), lab.Maintenance{Enabled: on}); err != nil {
		w.T.Fatal(err)
	}
}

func (w *World) readOnly() {
	set := func(on bool) {
		if err := w.Orders.SetReadOnly(on); err != nil {
			w.T.Fatal(err)
		}
	}
	set(true)
	w.Undo(func() { set(false) })
}

func (w *World) snapshot() {
	if _, err := w.Orders.Snapshot(w.T.Context(), "before"); err != nil {
		w.T.Fatal(err)
	}
}

func (w *World) restore() {
	if _, err := w.Orders.Restore(w.T.Context(), "before", false); err != nil {
		w.T.Fatal(err)
	}
}
