package remedy

import (
	"bytes"
	"context"
	"sync"
	"time"

	"rekey"
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

// documentsKept bounds how many configs are kept parsed; settlePause is how long a
// file that lacks what is looked for is given to change.
const (
	documentsKept = 8
	settlePause   = 100 * time.Millisecond
)

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

// look reads and parses the config for found, and again where found fails on a file
// that is just being written: a gitlab-runner that saves its config truncates it and
// writes, and what is missed in between is no answer.
func (e *Engine) look(path string, found func(*configtoml.Document) error) error {
	for attempt := 1; ; attempt++ {
		data, err := e.Host.Read(path)
		if err != nil {
			return err
		}
		doc, err := e.parse(path, data)
		if err == nil {
			err = found(doc)
		} else {
			err = rekey.Errorf(rekey.KindUnavailable, "%s: %w", path, err)
		}
		if err == nil || attempt == replaceAttempts || !e.moved(path, data) {
			return err
		}
	}
}

// moved reports whether the file differs, a moment later, from what was read.
func (e *Engine) moved(path string, read []byte) bool {
	_ = e.Clock.Sleep(context.Background(), settlePause)
	now, err := e.Host.Read(path)
	return err == nil && !bytes.Equal(now, read)
}

func (d *documents) keep(path string, text []byte, doc *configtoml.Document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, found := d.last[path]; !found && len(d.last) >= documentsKept || d.last == nil {
		d.last = map[string]document{}
	}
	d.last[path] = document{text, doc}
}
