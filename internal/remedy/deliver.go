package remedy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/diagnose"
)

// replaceAttempts bounds how often an edit is computed anew because somebody
// else wrote the file in between.
const replaceAttempts = 5

// deliver writes the new token into the section, under the config's lock. The
// file's image from before is sealed in the journal first; the edit is computed
// from what the file holds now.
func (e *Engine) deliver(ctx context.Context, op *operation) (any, string, error) {
	if err := e.completeGiven(ctx, op); err != nil {
		return nil, "", err
	}
	for attempt := 1; ; attempt++ {
		text, err := e.deliverOnce(op)
		if err == nil {
			return op.delivered, text, nil
		}
		if rekey.KindOf(err) != rekey.KindConflict || attempt == replaceAttempts {
			return nil, "", err
		}
	}
}

// completeGiven asks GitLab for the id and the expiry of a token that was given:
// they go into the section with it. A token that GitLab refuses is not delivered.
func (e *Engine) completeGiven(ctx context.Context, op *operation) error {
	if !op.given() {
		return nil
	}
	url := op.url()
	var tls diagnose.TLSFiles
	if section, err := e.section(op); err == nil {
		tls = tlsOf(section)
	}
	answer := e.Probe(ctx, Question{Config: op.target.Config, TLS: tls, URL: url, Token: op.issued.Token,
		SystemID: e.Host.SystemID(op.target.Config), Verify: true})
	switch answer.Verdict() {
	case rekey.Valid:
		op.issued.ExpiresAt = answer.ExpiresAt
		op.issued.ID = answer.RunnerID
		return nil
	case rekey.Invalid:
		return errFinal{rekey.Errorf(rekey.KindDenied, "%s refuses the token that was given (%s)", url, op.issued.Token).
			WithHint("have a colleague make a runner in the page of that GitLab, and give its glrt- token")}
	}
	return rekey.Errorf(rekey.KindUnavailable, "whether %s accepts the token that was given is unknown: %s", url, answer.Message).
		WithHint("run `rekey fix` again when that GitLab answers: the token is sealed in the journal")
}

func (op *operation) appendsGiven() bool {
	return op.target.Remedy == rekey.RemedyAppend && op.target.Attributes == nil
}

func (op *operation) url() string {
	if op.target.NewURL != "" {
		return op.target.NewURL
	}
	return op.target.URL
}

func (e *Engine) deliverOnce(op *operation) (string, error) {
	data, err := e.Host.Read(op.target.Config)
	if rekey.KindOf(err) == rekey.KindNotFound && err != nil && op.target.Remedy == rekey.RemedyAppend {
		return e.install(op)
	}
	if err != nil {
		return "", err
	}
	if op.delivered != nil && digest(data) == op.delivered.After {
		return "the config already holds the new token", nil
	}
	next, image, old, err := e.edited(op, data)
	if err != nil {
		return "", err
	}
	if next == nil {
		return "the config already holds the new token", nil
	}
	d := &delivery{Path: op.target.Config, Before: digest(data), After: digest(next), RunnerID: op.issued.ID, NewToken: op.issued.Token.Fingerprint(), OldToken: old}
	if err := e.sealImage(op, d, image); err != nil {
		return "", err
	}
	op.delivered = d
	if d.How, err = e.Host.Replace(op.target.Config, data, next); err != nil {
		if err = e.arrived(d, err); err != nil {
			return "", err
		}
		d.How = "the disk failed behind it"
	}
	return fmt.Sprintf("edited %s (%s)", op.target.Config, d.How), nil
}

// arrived looks at the file after an edit that failed in a way that leaves open
// whether it was made (the disk failed behind the exchange). It returns nil when
// the new bytes are there, and errUnclear while nobody can look.
func (e *Engine) arrived(d *delivery, failed error) error {
	if rekey.KindOf(failed) != rekey.KindUnavailable {
		return failed
	}
	data, err := e.Host.Read(d.Path)
	switch {
	case err != nil:
		return errUnclear{errors.Join(failed, err)}
	case digest(data) == d.After:
		return nil
	}
	return failed
}

// edited returns the config's next bytes, nil when the section already has them,
// the image to put back, and the fingerprint of the token that goes. Where an
// in-place write of ours was cut short, it begins from the image of before.
func (e *Engine) edited(op *operation, data []byte) (next, image []byte, old rekey.Fingerprint, err error) {
	image = data
	doc, err := e.parse(op, data)
	if err != nil && op.delivered != nil {
		if image, err = e.image(op); err == nil {
			doc, err = configtoml.Parse(image)
		}
	}
	if err != nil {
		return nil, nil, "", err
	}
	if op.target.Remedy == rekey.RemedyAppend {
		next, old, err = e.appended(op, doc)
		return next, image, old, err
	}
	i, present, err := locate(doc, op)
	if err != nil || present {
		return nil, nil, "", err
	}
	edited, err := doc.Edit(i, op.change())
	if err != nil {
		return nil, nil, "", err
	}
	next = edited.Bytes()
	e.documents.keep(op.target.Config, next, edited)
	return next, image, doc.Sections()[i].Token.Fingerprint(), nil
}

// change is the one edit of invariant 5: id, token and both dates together.
func (op *operation) change() configtoml.Change {
	c := configtoml.Change{}
	if op.target.NewURL != "" {
		c.URL = &op.target.NewURL
	}
	if op.issued.Token.IsZero() {
		return c
	}
	c.Token = &op.issued.Token
	if op.target.Remedy == rekey.RemedyRewrite {
		return c // the same token as before: its id and dates stay
	}
	obtained := op.issued.ObtainedAt.UTC().Truncate(time.Second)
	expires := op.issued.ExpiresAt.UTC()
	c.ObtainedAt, c.ExpiresAt = &obtained, &expires
	if op.issued.ID != 0 || op.given() { // the id of another record would be taken for this one's
		c.ID = &op.issued.ID
	}
	return c
}

// locate finds the target's section by the token it had when the plan was made;
// the index decides between equals. present says that it has the new token. A
// token that was made for it is in no other section; one that was not made may
// be, so there the target's own place is looked at first.
func locate(doc *configtoml.Document, op *operation) (index int, present bool, err error) {
	sections := doc.Sections()
	found := -1
	for i, s := range sections {
		same := s.Name == op.target.Name && s.URL == op.target.URL && s.Token.Fingerprint() == op.target.Before
		if same && (found < 0 || i == op.target.Index) {
			found = i
		}
	}
	if found >= 0 && found == op.target.Index && (op.given() || op.target.Remedy == rekey.RemedyRewrite) {
		return found, false, nil
	}
	for i, s := range sections {
		fresh := !op.issued.Token.IsZero() && s.Token == op.issued.Token
		if fresh && (op.target.NewURL == "" || s.URL == op.target.NewURL) {
			return i, true, nil
		}
	}
	if found < 0 && op.target.NewURL != "" && op.issued.Token.IsZero() {
		return mended(sections, op)
	}
	if found < 0 {
		return 0, false, errStop{
			reason: fmt.Sprintf("%s no longer has the section %q as it was when the plan was made", op.target.Config, op.target.Name),
			next:   "run `rekey doctor` to see what changed; a token already received stays sealed in the journal",
		}
	}
	return found, false, nil
}

func mended(sections []configtoml.Section, op *operation) (int, bool, error) {
	for i, s := range sections {
		if s.Token.Fingerprint() == op.target.Before && s.URL == op.target.NewURL {
			return i, true, nil
		}
	}
	return 0, false, errStop{reason: fmt.Sprintf("%s no longer has the section %q", op.target.Config, op.target.Name), next: "run `rekey doctor`"}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// section returns the target's section as the file has it now.
func (e *Engine) section(op *operation) (configtoml.Section, error) {
	data, err := e.Host.Read(op.target.Config)
	if err != nil {
		return configtoml.Section{}, err
	}
	doc, err := e.parse(op, data)
	if err != nil {
		return configtoml.Section{}, err
	}
	i, _, err := locate(doc, op)
	if err != nil {
		return configtoml.Section{}, err
	}
	return doc.Sections()[i], nil
}

// reload makes the running gitlab-runner load the config, once for all edits.
func (e *Engine) reload(ctx context.Context, op *operation) (any, string, error) {
	if how, done := e.reloaded[op.target.Config]; done {
		return how, "", nil
	}
	how, err := e.Host.Reload(ctx, op.target.Config)
	if err != nil {
		return nil, "", err
	}
	e.reloaded[op.target.Config] = how
	return how, how, nil
}

// assign gives a project runner a further project.
func (e *Engine) assign(ctx context.Context, op *operation) (any, string, error) {
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepAssign, rekey.PhaseIntent, op.target.AssignTo, nil); err != nil {
		return nil, "", err
	}
	if err := gl.AssignProject(ctx, op.target.AssignTo, op.target.RunnerID); err != nil {
		if r, rerr := gl.Runner(ctx, op.target.RunnerID); rerr != nil || !assigned(r, op.target.AssignTo) {
			return nil, "", err
		}
	}
	return nil, fmt.Sprintf("runner %d assigned to %s", op.target.RunnerID, op.target.AssignTo), nil
}

func assigned(r rekey.Runner, project string) bool {
	for _, p := range r.Projects {
		if p.Path == project || fmt.Sprint(p.ID) == project {
			return true
		}
	}
	return false
}
