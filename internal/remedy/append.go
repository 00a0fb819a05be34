package remedy

import (
	"fmt"
	"time"

	"rekey"
	"rekey/internal/configtoml"
)

// install makes a config that does not exist yet. It is created whole, so a crash
// leaves no file or the finished one.
func (e *Engine) install(op *operation) (string, error) {
	doc, err := configtoml.Parse(nil)
	if err != nil {
		return "", err
	}
	next, _, err := e.appended(op, doc)
	if err != nil {
		return "", err
	}
	d := &delivery{Path: op.target.Config, After: digest(next), RunnerID: op.issued.ID, NewToken: op.issued.Token.Fingerprint(), Installed: true, How: "created"}
	if err := op.journal.Write(rekey.StepDeliver, rekey.PhaseIntent, d, []byte{}); err != nil {
		return "", err
	}
	op.delivered = d
	if err := e.Host.Create(op.target.Config, next); err != nil {
		return "", err
	}
	return fmt.Sprintf("created %s", op.target.Config), nil
}

// appended returns the document with the target's new section at its end, or nil
// when it is there already.
func (e *Engine) appended(op *operation, doc *configtoml.Document) ([]byte, rekey.Fingerprint, error) {
	for _, s := range doc.Sections() {
		if s.Token == op.issued.Token {
			return nil, "", nil
		}
	}
	next, err := doc.Append(configtoml.NewSection{
		Name: op.target.Name, URL: op.target.URL, ID: op.issued.ID, Token: op.issued.Token,
		ObtainedAt: op.issued.ObtainedAt.UTC().Truncate(time.Second), ExpiresAt: op.issued.ExpiresAt.UTC(),
		Executor: op.target.Executor, Image: op.target.Image,
	})
	if err != nil {
		return nil, "", err
	}
	return next.Bytes(), "", nil
}
