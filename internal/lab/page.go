package lab

import (
	"html/template"
	"net/http"
)

var signInPage = template.Must(template.New("sign-in").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in · GitLab-compatible lab</title>
<meta content="GitLab-compatible lab" property="og:site_name"></head>
<body><p role="alert"><strong>This is a rekey lab, not GitLab. Not for production.</strong></p>
<h1>Sign in</h1>
<p>The lab answers the API of GitLab {{.Version}} (profile {{.Profile}}) at <code>/api/v4</code>.
There is nobody to sign in as here: use the admin token that the lab wrote beside its data.</p></body></html>
`))

// servePage answers what is no API: a sign-in page, and a redirect to it from
// every other address, as a GitLab that nobody signed in to does.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/users/sign_in":
	case "/":
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.NotFound(w, r)
			return
		}
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Location", s.baseURL(r)+"/users/sign_in")
		w.WriteHeader(http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = signInPage.Execute(w, struct{ Version, Profile string }{s.version.String(), s.profile})
}
