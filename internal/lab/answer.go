package lab

import (
	"encoding/json"
	"net/http"
	"strings"
)

// answer is what a handler returns: a body to encode as JSON, or raw bytes with
// their content type. A body of nil is an empty body. An answer commits the
// transaction whatever its status; a refusal rolls it back.
type answer struct {
	status      int
	body        any
	raw         []byte
	contentType string
}

func ok(body any) (answer, error)      { return answer{status: http.StatusOK, body: body}, nil }
func created(body any) (answer, error) { return answer{status: http.StatusCreated, body: body}, nil }
func noContent() (answer, error)       { return answer{status: http.StatusNoContent}, nil }

// digits is GitLab's bare "200" or "201".
func digits(status int, text string) (answer, error) {
	return answer{status: status, raw: []byte(text), contentType: "text/plain"}, nil
}

// refusal is an error that is an answer: one of GitLab's envelopes.
type refusal struct {
	status int
	body   any
	header http.Header
}

func (r *refusal) Error() string {
	raw, _ := json.Marshal(r.body)
	return http.StatusText(r.status) + " " + string(raw)
}

type messageBody struct {
	Message any `json:"message"`
}

type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Scope       string `json:"scope,omitempty"`
}

// message is {"message": text}.
func message(status int, text string) error { return &refusal{status: status, body: messageBody{text}} }

// grape is {"error": text}, the envelope of parameter validation and error!.
func grape(status int, text string) error {
	return &refusal{status: status, body: errorBody{Error: text}}
}

// modelErrors is {"message": {attribute: [text]}}.
func modelErrors(attribute string, texts ...string) error {
	return &refusal{status: http.StatusBadRequest, body: messageBody{map[string][]string{attribute: texts}}}
}

func forbidden(reason string) error {
	return message(http.StatusForbidden, withReason("403 Forbidden", reason))
}

func badRequest(reason string) error {
	return message(http.StatusBadRequest, withReason("400 Bad request", reason))
}

func unauthorized() error { return message(http.StatusUnauthorized, "401 Unauthorized") }

// notFound is the helper's 404: "404 Project Not Found".
func notFound(resource string) error {
	return message(http.StatusNotFound, strings.TrimSpace("404 "+resource)+" Not Found")
}

// lookupMiss is the 404 of a record that find did not see, with its lower-case f.
func lookupMiss() error { return message(http.StatusNotFound, "404 Not found") }

func withReason(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + " - " + reason
}

func insufficientScope(accepted []string) error {
	return &refusal{status: http.StatusForbidden, body: errorBody{
		Error:       "insufficient_scope",
		Description: "The request requires higher privileges than provided by the access token.",
		Scope:       strings.Join(accepted, " "),
	}, header: http.Header{"Www-Authenticate": {`Bearer realm="Protected by OAuth 2.0", error="insufficient_scope"`}}}
}

func invalidToken(description string) error {
	return &refusal{status: http.StatusUnauthorized, body: errorBody{Error: "invalid_token", Description: description},
		header: http.Header{"Www-Authenticate": {`Bearer realm="Protected by OAuth 2.0", error="invalid_token", error_description="` + description + `"`}}}
}

// send writes an answer. The content type of JSON is exactly application/json.
func send(w http.ResponseWriter, a answer) {
	switch {
	case a.raw != nil:
		w.Header().Set("Content-Type", a.contentType)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.raw)
	case a.body == nil:
		w.WriteHeader(a.status)
	default:
		sendJSON(w, a.status, a.body)
	}
}

func sendJSON(w http.ResponseWriter, status int, body any) {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		status = http.StatusInternalServerError
		out.Reset()
		out.WriteString(`{"message":"500 Internal Server Error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.TrimSuffix(out.String(), "\n")))
}
