package lab

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"
)

// pagePrefix is where the lab's own pages are. GitLab has none of these paths, and
// no group can have them.
const pagePrefix = "/-/lab"

const signInPath = "/users/sign_in"

//go:embed page
var pageFiles embed.FS

var pageFuncs = template.FuncMap{
	"moment": func(moment any) string {
		s, _ := moment.(stamp)
		if to, isPointer := moment.(*stamp); isPointer {
			s = *to
		}
		if s.IsZero() {
			return "never"
		}
		return s.UTC().Format("2006-01-02 15:04:05 UTC")
	},
	"words": func(l []string) string { return strings.Join(l, ", ") },
	"plain": func(text any) string { return plainWord(spelled(text)) },
	"scope": func(runnerType string) string { return strings.TrimSuffix(runnerType, "_type") },
	"place": func(name string, of choices, now string) any {
		return struct {
			Name string
			Of   choices
			Now  string
		}{name, of, now}
	},
}

// spelled is a text, or the one that a pointer may lead to.
func spelled(text any) string {
	if to, isPointer := text.(*string); isPointer {
		return *to
	}
	return fmt.Sprint(text)
}

// pages has a template for each page, every one inside layout.html. They are read
// when the first is asked for: most processes serve none.
var pages = sync.OnceValue(func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range []string{"accepted", "job", "jobs", "newrunner", "overview", "refused", "runner", "runners", "settings", "signin", "token"} {
		all[name] = template.Must(template.New("layout.html").Funcs(pageFuncs).ParseFS(pageFiles, "page/layout.html", "page/"+name+".html"))
	}
	return all
})

// pageView is what the layout shows around the body of a page.
type pageView struct {
	Title, Path      string
	Version, Profile string
	Now              stamp
	User             *userEntity // nil while nobody is signed in
	Refresh          bool        // reload a page of something under way where scripts are off
	Body             any
}

// pageHandler answers what is no API. To whoever has not signed in every page but
// the sign-in page is a redirect to it, as on a GitLab. Writes go through api, so
// that orders to fail and read-only states hold for the page too.
func (s *Server) pageHandler(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	at := func(pattern string, show func(*visit) error) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+pagePrefix+path, s.signedIn(api, show))
	}
	at("GET /accepted", showAccepted)
	at("GET /runners", showRunners)
	at("POST /runners", createRunnerByForm)
	at("GET /runners/new", showNewRunner)
	at("GET /runners/{id}", showRunner)
	at("GET /runners/{id}/token", showTokenOnce)
	at("POST /runners/{id}/pause", pauseRunner)
	at("POST /runners/{id}/reset", resetRunnerToken)
	at("POST /runners/{id}/delete", deleteRunnerByForm)
	at("GET /jobs", showJobs)
	at("GET /projects/{project}/jobs/{job}", showJobPage)
	at("GET /projects/{project}/jobs/{job}/trace", serveTracePart)
	at("GET /settings", showSettings)
	at("POST /settings", changeSettings)
	at("GET /", noSuchPage)
	mux.HandleFunc("GET "+pagePrefix+"/assets/{file}", serveAsset)
	mux.HandleFunc("GET "+signInPath, s.showSignIn)
	mux.HandleFunc("POST "+signInPath, s.signIn)
	mux.HandleFunc("POST /users/sign_out", s.signOut)
	protected := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setPageHeaders(w.Header())
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, pagePrefix+"/"), path == signInPath, path == "/users/sign_out":
			protected.ServeHTTP(w, r)
		case path == "/":
			s.serveRoot(w, r, api)
		default:
			s.serveElsewhere(w, r, api)
		}
	})
}

// setPageHeaders lets a page load nothing but its own style and script, and keeps
// it out of caches and frames.
func setPageHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
}

// serveRoot is the overview, and the sign-in page itself to strangers.
func (s *Server) serveRoot(w http.ResponseWriter, r *http.Request, api http.Handler) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.NotFound(w, r)
	case s.sessionToken(r).IsZero():
		s.showSignIn(w, r)
	default:
		s.signedIn(api, showOverview)(w, r)
	}
}

// serveElsewhere is every address that the lab does not have. The address that the
// API gives a job leads to the job's page.
func (s *Server) serveElsewhere(w http.ResponseWriter, r *http.Request, api http.Handler) {
	if s.sessionToken(r).IsZero() || r.Method != http.MethodGet {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Location", s.baseURL(r)+signInPath)
		w.WriteHeader(http.StatusFound)
		return
	}
	if project, job, isJob := strings.Cut(strings.Trim(r.URL.Path, "/"), "/-/jobs/"); isJob {
		s.signedIn(api, func(p *visit) error { return p.redirectToJob(project, job) })(w, r)
		return
	}
	s.signedIn(api, noSuchPage)(w, r)
}

func noSuchPage(*visit) error { return notFound("Page") }

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if !strings.HasSuffix(name, ".css") && !strings.HasSuffix(name, ".js") {
		http.NotFound(w, r)
		return
	}
	content, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}

// render writes a whole page or, where a template fails, 500.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name string, view pageView) {
	view.Version, view.Profile, view.Now, view.Path = s.version.String(), s.profile, at(s.now()), r.URL.Path
	var out bytes.Buffer
	if err := pages()[name].Execute(&out, view); err != nil {
		s.log.Error("page failed", "page", name, "error", err)
		http.Error(w, "500 Internal Server Error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// refuse shows why the lab did not do it, in GitLab's own words.
func (p *visit) refuse(err error) {
	if denied := new(refusal); errors.As(err, &denied) && denied.status == http.StatusUnauthorized {
		p.endSession(p.w)
		http.Redirect(p.w, p.r, signInPath, http.StatusSeeOther)
		return
	}
	status, text := p.reason(err)
	p.show(status, "refused", pageView{Title: http.StatusText(status), Body: text})
}
