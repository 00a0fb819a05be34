package lab

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"rekey"
)

// sessionFor is how long a browser stays signed in.
const sessionFor = 12 * time.Hour

// session is what the cookie holds, sealed with the lab's secrets: it outlives an
// upgrade, and ends with the secrets or the token.
type session struct {
	Kind  string    `json:"kind"` // no other sealed value may pass for a session
	Token string    `json:"token"`
	Until time.Time `json:"until"`
}

const sessionKind = "page session"

// cookieName differs between labs: cookies do not tell ports apart, and two labs on
// one machine are the usual case.
func (s *Server) cookieName() string {
	return "rekey_lab_" + hex.EncodeToString(s.secrets.digest(sessionKind, "cookie name")[:4])
}

// sessionToken returns the token that a browser signed in with, zero for none.
func (s *Server) sessionToken(r *http.Request) rekey.Token {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil {
		return rekey.Token{}
	}
	box, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return rekey.Token{}
	}
	plain, err := s.secrets.opened(box)
	if err != nil {
		return rekey.Token{}
	}
	var found session
	if json.Unmarshal([]byte(plain), &found) != nil || found.Kind != sessionKind || !s.now().Before(found.Until) {
		return rekey.Token{}
	}
	return rekey.NewToken(found.Token)
}

func (s *Server) beginSession(w http.ResponseWriter, r *http.Request, token rekey.Token) error {
	plain, err := json.Marshal(session{sessionKind, token.Reveal(), s.now().Add(sessionFor)})
	if err != nil {
		return err
	}
	// without Max-Age it ends with the browser, whose clock the lab's need not be
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: base64.RawURLEncoding.EncodeToString(s.secrets.sealed(string(plain))),
		Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil})
	return nil
}

func (s *Server) endSession(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}

// signInView is the form again, with what was wrong.
type signInView struct{ Username, Wrong string }

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request) {
	if !s.sessionToken(r).IsZero() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.render(w, r, http.StatusOK, "signin", pageView{Title: "Sign in", Body: signInView{}})
}

// signIn takes a personal access token, and where a name is given it must be the
// token's user. The session may do what the token may do.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
		return
	}
	token, name := rekey.NewToken(strings.TrimSpace(r.PostForm.Get("token"))), strings.TrimSpace(r.PostForm.Get("username"))
	p := &visit{Server: s, w: w, r: r, token: token}
	again := signInView{Username: name}
	self, err := ask[userEntity](p, "user", nil)
	switch {
	case err != nil:
		_, again.Wrong = p.reason(err)
	case name != "" && name != self.Username:
		again.Wrong = "The token is not one of this user."
	default:
		if err = s.beginSession(w, r, token); err == nil {
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		again.Wrong = "The session could not be sealed."
	}
	s.render(w, r, http.StatusUnauthorized, "signin", pageView{Title: "Sign in", Body: again})
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	s.endSession(w)
	http.Redirect(w, r, signInPath, http.StatusSeeOther)
}
