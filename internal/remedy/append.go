package remedy

import (
	"fmt"
	"time"

	"rekey"
	"rekey/internal/configtoml"
)

// install makes a config that does not exist yet. It is created whole, so a crash
// leaves no file or the finished one.
func (e *Engine) install(op *operation, at *site) (string, error) {
	doc, err := configtoml.Parse(nil)
	if err != nil {
		return "", err
	}
	made, err := op.appended(doc)
	if err != nil {
		return "", err
	}
	next := made.Bytes()
	d := &delivery{Path: op.target.Config, After: digest(next), RunnerID: op.issued.ID, NewToken: op.issued.Token.Fingerprint(), Installed: true, How: "created"}
	if err := op.journal.Write(rekey.StepDeliver, rekey.PhaseIntent, d, []byte{}); err != nil {
		return "", err
	}
	at.delivered = d
	if err := e.Host.Create(op.target.Config, next); err != nil {
		return "", err
	}
	return fmt.Sprintf("created %s", op.target.Config), nil
}

// appended returns the document with the target's new section at its end.
func (op *operation) appended(doc *configtoml.Document) (*configtoml.Document, error) {
	return doc.Append(configtoml.NewSection{
		Name: op.target.Name, URL: op.target.URL, ID: op.issued.ID, Token: op.issued.Token,
		ObtainedAt: op.issued.ObtainedAt.UTC().Truncate(time.Second), ExpiresAt: op.issued.ExpiresAt.UTC(),
		Executor: op.target.Executor, Image: op.target.Image,
	})
}
