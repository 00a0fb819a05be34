package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxBody bounds a request body other than an artifact's.
const maxBody = 10 << 20

// input is a request's parameters before validation: GitLab takes them from
// JSON, form, multipart and query alike, also for DELETE. A body of another
// type is kept raw.
type input struct {
	values map[string]any
	raw    []byte
	files  map[string]*multipart.FileHeader
	form   *multipart.Form
}

// readInput reads query and body; the body wins where both name a parameter.
func readInput(w http.ResponseWriter, r *http.Request, limit int64) (input, error) {
	in := input{values: nest(r.URL.Query())}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if kind == "multipart/form-data" {
		return in, in.readMultipart(r)
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return in, bodyError(err)
	}
	in.raw = raw
	if len(raw) == 0 {
		return in, in.check()
	}
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		err = in.readJSON(raw)
	case kind == "application/x-www-form-urlencoded":
		err = in.readForm(raw)
	}
	if err != nil {
		return in, err
	}
	return in, in.check()
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return message(http.StatusRequestEntityTooLarge, "413 Request Entity Too Large")
	}
	return badRequest("the request body could not be read")
}

// errBody is Grape's answer to a body it cannot parse (the text is unverified).
func errBody() error {
	return grape(http.StatusBadRequest, "message body does not match declared format")
}

// readJSON merges the object of the body; null, which gitlab-runner sends with
// reset-token --pat, is an empty object.
func (in *input) readJSON(raw []byte) error {
	if !utf8.Valid(raw) {
		return errBody()
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var body any
	if err := dec.Decode(&body); err != nil {
		return errBody()
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errBody()
	}
	object, isObject := body.(map[string]any)
	if !isObject && body != nil {
		return errBody()
	}
	for k, v := range object {
		in.values[k] = v
	}
	return nil
}

func (in *input) readForm(raw []byte) error {
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return errBody()
	}
	for k, v := range nest(form) {
		in.values[k] = v
	}
	return nil
}

func (in *input) readMultipart(r *http.Request) error {
	if err := r.ParseMultipartForm(1 << 20); err != nil {
		return bodyError(err)
	}
	in.form = r.MultipartForm
	for k, v := range nest(r.MultipartForm.Value) {
		in.values[k] = v
	}
	in.files = map[string]*multipart.FileHeader{}
	for k, v := range r.MultipartForm.File {
		in.files[k] = v[0]
	}
	return in.check()
}

func (in *input) close() {
	if in.form != nil {
		_ = in.form.RemoveAll()
	}
}

// check refuses NUL bytes and invalid UTF-8 anywhere in the parameters, as
// GitLab's malformed-strings middleware does.
func (in *input) check() error {
	if malformed(in.values) {
		return badRequest("")
	}
	return nil
}

func malformed(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0) || !utf8.ValidString(v)
	case []any:
		for _, item := range v {
			if malformed(item) {
				return true
			}
		}
	case map[string]any:
		for key, item := range v {
			if malformed(key) || malformed(item) {
				return true
			}
		}
	}
	return false
}
