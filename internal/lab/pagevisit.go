package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rekey"
)

// maxForm bounds what a form of the page may send.
const maxForm = 1 << 20

// visit is one request of a signed-in browser. It has no rights of its own: all it
// shows and does goes through the rows of the API with the session's token.
type visit struct {
	*Server
	w     http.ResponseWriter
	r     *http.Request
	api   http.Handler
	token rekey.Token
	self  userEntity
}

// signedIn finds out who the session speaks for before anything else.
func (s *Server) signedIn(api http.Handler, show func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := &visit{Server: s, w: w, r: r, api: api, token: s.sessionToken(r)}
		var err error
		if p.self, err = ask[userEntity](p, "user", nil); err == nil {
			err = p.parseForm()
		}
		if err == nil {
			err = show(p)
		}
		if err != nil {
			p.refuse(err)
		}
	}
}

func (p *visit) parseForm() error {
	p.r.Body = http.MaxBytesReader(p.w, p.r.Body, maxForm)
	if err := p.r.ParseForm(); err != nil {
		return badRequest("the form could not be read")
	}
	return nil
}

func (p *visit) show(status int, name string, view pageView) {
	if p.self.ID != 0 {
		view.User = &p.self
	}
	p.render(p.w, p.r, status, name, view)
}

// ask reads an API address as the session's user and returns what is sent as JSON.
func ask[T any](p *visit, path string, query url.Values) (T, error) {
	rt, vars, _ := p.routes.find(http.MethodGet, path)
	if rt == nil {
		var none T
		return none, notFound("")
	}
	return askRow[T](p, rt, vars, query, nil)
}

// askRow is ask for a row that need not be in the table. Looking at a page spends
// no request limit and no order to fail: those are for clients. header, unless nil,
// receives that of the answer.
func askRow[T any](p *visit, rt *route, vars map[string]string, query url.Values, header http.Header) (T, error) {
	var body T
	r, err := p.request(http.MethodGet, "", nil)
	if err != nil {
		return body, err
	}
	in := input{values: nest(query)}
	if err := in.check(); err != nil {
		return body, err
	}
	if header == nil {
		header = http.Header{}
	}
	var a answer
	err = p.read(r.Context(), func(t *tx) error {
		c := &call{tx: t, r: r, in: in, vars: vars, header: header}
		a, err = c.run(rt)
		return err
	})
	if err != nil {
		return body, err
	}
	sent := a.body
	if a.raw != nil {
		sent = a.raw
	}
	body, fits := sent.(T)
	if !fits {
		return body, fmt.Errorf("%s answered %T", rt.id(), sent)
	}
	return body, nil
}

func (p *visit) request(method, path string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(p.r.Context(), method, "/api/v4/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, badRequest("")
	}
	r.Host, r.RemoteAddr = p.r.Host, p.r.RemoteAddr
	r.Header.Set("Private-Token", p.token.Reveal())
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", p.r.UserAgent())
	return r, nil
}

// order sends a write to the API as any client would, and decodes the answer into
// out unless that is nil.
func (p *visit) order(method, path string, body map[string]any, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := p.request(method, path, raw)
	if err != nil {
		return err
	}
	got := &recording{header: http.Header{}, status: http.StatusOK}
	p.api.ServeHTTP(got, r)
	if name := got.header.Get(FaultHeader); name != "" {
		p.w.Header().Set(FaultHeader, name)
	}
	if got.status >= http.StatusMultipleChoices {
		return &refusal{status: got.status, body: json.RawMessage(got.body.Bytes())}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(got.body.Bytes(), out); err != nil {
		return &refusal{status: http.StatusBadGateway, body: messageBody{"the lab answered something else than was asked for"}}
	}
	return nil
}

// reason is the status and the text of a refusal; anything else is a 500 that says
// nothing.
func (p *visit) reason(err error) (int, string) {
	refused := new(refusal)
	if !errors.As(err, &refused) {
		p.log.Error("page failed", "method", p.r.Method, "path", p.r.URL.Path, "error", err)
		return http.StatusInternalServerError, "500 Internal Server Error"
	}
	raw, ordered := refused.body.(json.RawMessage)
	if !ordered {
		raw, _ = json.Marshal(refused.body)
	}
	var said struct {
		Message     any    `json:"message"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(raw, &said) != nil {
		return refused.status, fmt.Sprintf("%d %s", refused.status, http.StatusText(refused.status))
	}
	switch message := said.Message.(type) {
	case string:
		return refused.status, message
	case map[string]any:
		return refused.status, attributeTexts(message)
	}
	return refused.status, strings.TrimSpace(said.Error + " " + said.Description)
}

func attributeTexts(wrong map[string]any) string {
	var all []string
	for _, attribute := range sortedKeys(wrong) {
		texts, _ := coerceWords(wrong[attribute])
		words, _ := texts.([]string)
		all = append(all, plainWord(attribute)+" "+strings.Join(words, ", "))
	}
	return strings.Join(all, "; ")
}

func plainWord(key string) string { return strings.ReplaceAll(key, "_", " ") }

// turns are the neighbouring pages of a list.
type turns struct{ Previous, Next string }

func (p *visit) turns(header http.Header) turns {
	at := func(number string) string {
		if number == "" {
			return ""
		}
		query := p.r.URL.Query()
		query.Set("page", number)
		return p.r.URL.Path + "?" + query.Encode()
	}
	return turns{at(header.Get("X-Prev-Page")), at(header.Get("X-Next-Page"))}
}

// asked keeps those parameters of the address that are there and not empty.
func (p *visit) asked(names ...string) url.Values {
	found := url.Values{}
	for _, name := range names {
		if value := p.r.URL.Query().Get(name); value != "" {
			found.Set(name, value)
		}
	}
	return found
}
