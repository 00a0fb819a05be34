package matrix

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Overlay is a fault on top of a scenario. It never turns unknown into valid or
// invalid, and nothing but the text of a token makes it invalid without an answer.
type Overlay struct {
	Name string
	Wrap func(http.Handler) http.Handler // stands before the GitLab; nil for none
	Edit func(*World)                    // changes the host; nil for none
	// Silences reports whether no question about a token is answered any more; else
	// the verdicts stay what they are.
	Silences func(w *World) bool

	reaches bool // some requests get through to the GitLab
	waits   bool // doctor would wait for an answer as long as it may
}

var always = func(*World) bool { return true }

// verifies: before 18.7 a token is judged by a POST that names the system id.
var verifies = func(w *World) bool { return !w.AtLeast("18.11") }

// Overlays are the faults that are put on top of every scenario.
var Overlays = []Overlay{
	{Name: "502 of what stands before GitLab", Silences: always, Wrap: insteadOf(everything, 502, "text/html", "<html>502 Bad Gateway</html>")},
	{Name: "403 in HTML of a web application firewall", Silences: always, Wrap: insteadOf(everything, 403, "text/html", "<html><title>403 Forbidden</title></html>")},
	{waits: true, Name: "429 with a long Retry-After", Silences: always, Wrap: insteadOf(everything, 429, "text/plain", "Retry later\n")},
	{Name: "an answer cut short", Silences: always, Wrap: cutShort},
	{waits: true, Name: "no answer at all", Silences: always, Wrap: hang},
	{reaches: true, Name: "a read-only GitLab", Silences: verifies, Wrap: insteadOf(writes, 403, "application/json", `{"message":"You cannot perform write operations on a read-only instance"}`)},
	{reaches: true, Name: "no id in the section", Silences: func(*World) bool { return false }, Edit: dropIDs},
	{reaches: true, Name: "an unreadable system id", Silences: verifies, Edit: spoilSystemIDs},
}

func everything(*http.Request) bool { return true }

func writes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// insteadOf answers the requests that match by itself.
func insteadOf(match func(*http.Request) bool, status int, contentType, body string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !match(r) {
				next.ServeHTTP(rw, r)
				return
			}
			rw.Header().Set("Content-Type", contentType)
			rw.Header().Set("Retry-After", "60")
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, body)
		})
	}
}

// cutShort promises more than it sends.
func cutShort(http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Content-Length", "400")
		_, _ = io.WriteString(rw, `{"message":"403 Forb`)
	})
}

func hang(http.Handler) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that nobody waits any more
		<-r.Context().Done()
	})
}

var idLine = regexp.MustCompile(`(?m)^  id = \d+\n`)

// dropIDs takes the ids out of the scenario's configs.
func dropIDs(w *World) {
	w.T.Helper()
	w.eachFile("config.toml", func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			w.T.Fatal(err)
		}
		if err := os.WriteFile(path, idLine.ReplaceAll(text, nil), 0o600); err != nil {
			w.T.Fatal(err)
		}
	})
}

// spoilSystemIDs puts a directory in each system id's place: what root cannot read
// either.
func spoilSystemIDs(w *World) {
	w.T.Helper()
	w.eachFile(".runner_system_id", func(path string) {
		if err := os.Remove(path); err != nil {
			w.T.Fatal(err)
		}
		if err := os.Mkdir(path, 0o755); err != nil {
			w.T.Fatal(err)
		}
	})
}

// eachFile visits the files of the hosts with the name, "" being any.
func (w *World) eachFile(name string, do func(path string)) {
	w.T.Helper()
	err := filepath.WalkDir(w.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (name == "" || d.Name() == name) && d.Type().IsRegular() {
			do(path)
		}
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// Fault is an overlay for one looker.
type Fault struct {
	Overlay
	Who Who
}

// Disturb plants the scenario anew and has doctor look once under each fault, all
// at once: each has a copy of the hosts and an address of its own. tell is called
// from several goroutines with what is wrong with the verdicts, given those without
// a fault; running is done when all have looked. Where the GitLab itself is not
// reached, that may be after Disturb has returned.
func Disturb(t testing.TB, g *GitLab, s Scenario, faults []Fault, before map[Who]Result, doctor Doctor, running *sync.WaitGroup, tell func(string)) {
	t.Helper()
	w := NewWorld(t, g)
	defer w.Close()
	s.Plant(w)
	var reaching sync.WaitGroup
	defer reaching.Wait()
	for _, f := range faults {
		twin := w.twin(t, f.Overlay)
		until := running
		if f.reaches {
			until = &reaching
		}
		until.Go(func() {
			defer twin.Close()
			r, err := decode(twin.doctor(f.Who, doctor))
			if err != nil {
				tell(err.Error())
				return
			}
			var res Result
			for i, sec := range r.Sections {
				res.disturbed(twin, s, f.Overlay, sec, before[f.Who].sections[i].Verdict)
			}
			for _, wrong := range res.Wrong {
				tell(fmt.Sprintf("%s, %s: %s", s.Name, f.Who, wrong))
			}
		})
	}
}

// twin is a copy of the scenario's hosts before whose GitLab the overlay stands.
func (w *World) twin(t testing.TB, o Overlay) *World {
	w.T.Helper()
	own := &World{GitLab: w.GitLab, T: t, Env: map[string]string{}, front: &front{next: w.front}}
	dir, err := os.MkdirTemp(w.twins, "")
	if err != nil {
		w.T.Fatal(err)
	}
	own.Dir = dir
	server := httptest.NewServer(own.front)
	own.URL = server.URL
	own.Undo(server.Close)
	moved := strings.NewReplacer(w.URL, own.URL, w.Dir, own.Dir)
	w.eachFile("", func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			w.T.Fatal(err)
		}
		own.File(strings.TrimPrefix(path, w.Dir), moved.Replace(string(text)))
	})
	for _, arg := range w.Args {
		own.Args = append(own.Args, moved.Replace(arg))
	}
	for name, value := range w.Env {
		own.Env[name] = moved.Replace(value)
	}
	if o.waits {
		own.Args = append(own.Args, "--timeout", "150ms")
	}
	if o.Edit != nil {
		o.Edit(own)
	}
	if o.Wrap != nil {
		own.Front(o.Wrap)
	}
	return own
}

// disturbed compares the verdict of one section with that before the fault.
func (r *Result) disturbed(w *World, s Scenario, o Overlay, sec section, before string) {
	allowed := []string{before, "unknown"}
	behind := strings.HasPrefix(sec.URL, w.URL)
	switch {
	case s.Lexical && strings.HasPrefix(sec.Name, "planted"):
		allowed = []string{"invalid"}
	case behind && o.Silences(w):
		allowed = []string{"unknown"}
	case before == "unknown" || !o.Silences(w):
		allowed = []string{before}
	}
	if !slices.Contains(allowed, sec.Verdict) {
		r.wrong("%s: section %s is %s, was %s, want %s", o.Name, sec.Name, sec.Verdict, before, strings.Join(allowed, " or "))
	}
	if sec.Verdict != "valid" && !slices.ContainsFunc(sec.Findings, func(f finding) bool { return f.Severity == "error" }) {
		r.wrong("%s: section %s is %s without an error", o.Name, sec.Name, sec.Verdict)
	}
}
