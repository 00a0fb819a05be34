package remedy

import (
	"bytes"
	"sync"

	"rekey/internal/configtoml"
)

// documents keeps the last document of some configs: of a thousand sections in
// one file each repair looks into it several times.
type documents struct {
	mu   sync.Mutex
	last map[string]document
}

type document struct {
	text []byte
	*configtoml.Document
}

// documentsKept bounds how many configs are kept parsed.
const documentsKept = 8

// parse reads what a config holds.
func (e *Engine) parse(path string, text []byte) (*configtoml.Document, error) {
	e.documents.mu.Lock()
	last, found := e.documents.last[path]
	e.documents.mu.Unlock()
	if found && bytes.Equal(last.text, text) {
		return last.Document, nil
	}
	doc, err := configtoml.Parse(text)
	if err == nil {
		e.documents.keep(path, text, doc)
	}
	return doc, err
}

func (d *documents) keep(path string, text []byte, doc *configtoml.Document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, found := d.last[path]; !found && len(d.last) >= documentsKept || d.last == nil {
		d.last = map[string]document{}
	}
	d.last[path] = document{text, doc}
}
