package remedy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/durable"
)

// replaceAttempts bounds how often an edit is computed anew because somebody
// else wrote the file in between.
const replaceAttempts = 5

// edit is what one operation wants of one config.
type edit struct {
	op   *operation
	site *site
	step rekey.StepKind // deliver or swap
	text string
	err  error
	over bool // made, or found made
}

func (ed *edit) end(text string) { ed.over, ed.text = true, text }

// errAgain says that the edits have to be put together anew.
var errAgain = errors.New("compose again")

// editConfig makes several edits of one config in one replacement of the file,
// under its lock. What fails for one does not stop the others.
func (e *Engine) editConfig(path string, edits []*edit) {
	for attempt := 1; ; {
		open := slices.DeleteFunc(slices.Clone(edits), func(ed *edit) bool { return ed.over || ed.err != nil })
		if len(open) == 0 {
			return
		}
		err := e.editOnce(path, open, attempt < replaceAttempts)
		switch {
		case err == nil, errors.Is(err, errAgain):
			continue
		case rekey.KindOf(err) == rekey.KindConflict && attempt < replaceAttempts:
			attempt++
			continue
		}
		for _, ed := range open {
			ed.err = errors.Join(ed.err, err)
		}
	}
}

// errMoving says that the file changed while an edit was looked for in it.
var errMoving = rekey.Errorf(rekey.KindConflict, "somebody else is writing the config")

// editOnce makes the edits, or says in each why not. With again, why not is not
// drawn from a file that is just being written.
func (e *Engine) editOnce(path string, edits []*edit, again bool) error {
	data, err := e.Host.Read(path)
	if rekey.KindOf(err) == rekey.KindNotFound && err != nil {
		if i := slices.IndexFunc(edits, func(ed *edit) bool { return ed.op.target.Remedy == rekey.RemedyAppend }); i >= 0 {
			edits[i].text, edits[i].err = e.install(edits[i].op, edits[i].site)
			edits[i].over = edits[i].err == nil
			return nil
		}
	}
	if err != nil {
		return err
	}
	for _, ed := range edits {
		if rest, ok := ed.op.unpadded(ed.site, data); ok { // an in-place write of ours, but for its end
			_, err := e.Host.Replace(path, data, rest)
			return err
		}
	}
	image, doc, err := e.whole(path, data, edits)
	if err != nil && again && e.moved(path, data) {
		return errMoving
	}
	if err != nil {
		return err
	}
	next, wanted := e.compose(doc, digest(data), edits)
	if slices.ContainsFunc(edits, func(ed *edit) bool { return ed.err != nil }) && again && e.moved(path, data) {
		for _, ed := range edits {
			ed.err, ed.over = nil, false
		}
		return errMoving
	}
	if len(wanted) == 0 {
		return nil
	}
	after := next.Bytes()
	if err := e.intend(path, wanted, data, image, after); err != nil {
		return err
	}
	how, err := e.Host.Replace(path, data, after)
	if err != nil {
		if err = e.arrived(path, digest(after), err); err != nil {
			return err
		}
		how = "the disk failed behind it"
	}
	e.documents.keep(path, after, next)
	for _, ed := range wanted {
		if ed.step == rekey.StepDeliver {
			ed.site.delivered.How = how
		}
		ed.end(fmt.Sprintf("edited %s (%s)", path, how))
	}
	return nil
}

// unpadded returns what the site's last edit was to write, where its in-place write
// was cut short between the bytes and the length, by the end of an earlier process.
func (op *operation) unpadded(s *site, data []byte) ([]byte, bool) {
	if s.delivered == nil || !op.resumed {
		return nil, false
	}
	_, d, err := op.lastEdit(s)
	if err != nil || digest(data) == d.After {
		return nil, false
	}
	return durable.Unpadded(data, func(b []byte) bool { return digest(b) == d.After })
}

// whole parses what the config holds. Where an in-place write of ours was cut
// short, the edit begins from the image of before.
func (e *Engine) whole(path string, data []byte, edits []*edit) (image []byte, doc *configtoml.Document, err error) {
	doc, err = e.parse(path, data)
	if err == nil {
		return data, doc, nil
	}
	var newest *edit
	var last rekey.Record
	for _, ed := range edits {
		if ed.site.delivered == nil {
			continue
		}
		r, _, rerr := ed.op.lastEdit(ed.site)
		if rerr != nil {
			return nil, nil, err
		}
		if newest == nil || r.At.After(last.At) {
			newest, last = ed, r
		}
	}
	if newest == nil {
		return nil, nil, err
	}
	image, ierr := e.imageIn(newest.op.journal, last)
	if ierr != nil {
		return nil, nil, err
	}
	doc, err = configtoml.Parse(image)
	return image, doc, err
}

// compose returns the document with all edits that are still wanted.
func (e *Engine) compose(doc *configtoml.Document, now string, edits []*edit) (*configtoml.Document, []*edit) {
	var wanted []*edit
	for _, ed := range edits {
		if ed.step == rekey.StepDeliver && ed.site.delivered != nil && now == ed.site.delivered.After {
			ed.end("the config already holds the new token")
			continue
		}
		present, err := ed.made(doc)
		switch {
		case err != nil:
			ed.err = err
		case present:
			ed.end("the config already holds the new token")
		default:
			wanted = append(wanted, ed)
		}
	}
	if len(wanted) == 0 {
		return doc, nil
	}
	next, err := together(doc, wanted)
	if err == nil {
		return next, wanted
	}
	var good []*edit // one of them cannot be made
	for _, ed := range wanted {
		if _, ed.err = together(doc, []*edit{ed}); ed.err == nil {
			good = append(good, ed)
		}
	}
	if next, err = together(doc, good); err != nil {
		for _, ed := range good {
			ed.err = err
		}
		return doc, nil
	}
	return next, good
}

// made reports whether the document has the edit already.
func (ed *edit) made(doc *configtoml.Document) (bool, error) {
	op := ed.op
	switch {
	case op.target.Remedy == rekey.RemedyAppend:
		return slices.ContainsFunc(doc.Sections(), func(s configtoml.Section) bool { return s.Token == op.issued.Token }), nil
	case ed.step == rekey.StepSwap:
		old, second := pair(doc, op, ed.site)
		if second < 0 {
			return false, errStop{reason: fmt.Sprintf("%s no longer has the section with the new token", ed.site.Config),
				next: "run `rekey rotate` again: it delivers the sealed token anew"}
		}
		if old < 0 && op.waits(doc, ed.site, second) && op.usurped(doc, ed.site, second) {
			return false, errStop{reason: fmt.Sprintf("somebody changed the token of section %q of %s, which was to be replaced", ed.site.Name, ed.site.Config),
				next: "take that section out if it is not wanted, then run `rekey rotate` again"}
		}
		return old < 0 && !op.waits(doc, ed.site, second), nil
	}
	i, present, err := locate(doc, op, ed.site)
	if err == nil && !present && op.overlaps() && begunBeside(doc, i) {
		return false, errStop{reason: fmt.Sprintf("another rekey, with another state directory, rotates section %q of %s", ed.site.Name, ed.site.Config),
			next: "`rekey fix --abort` takes this run's record back; give every run on this host the same --state-dir"}
	}
	return present, err
}

// together makes all edits or none.
func together(doc *configtoml.Document, edits []*edit) (*configtoml.Document, error) {
	changes, copies := map[int]configtoml.Change{}, map[int]configtoml.Change{}
	var gone []int
	var added []*edit
	for _, ed := range edits {
		old, second := pair(doc, ed.op, ed.site)
		switch {
		case ed.op.target.Remedy == rekey.RemedyAppend:
			added = append(added, ed)
		case ed.step == rekey.StepSwap && old < 0: // somebody took the old section away
			changes[second] = configtoml.Change{Name: &ed.site.Name}
		case ed.step == rekey.StepSwap:
			changes[old], gone = ed.op.change(), append(gone, second)
		case ed.op.overlaps():
			c, name := ed.op.change(), ed.op.secondName(ed.site)
			c.Name = &name
			copies[old] = c
		default:
			i, _, err := locate(doc, ed.op, ed.site)
			if err != nil {
				return nil, err
			}
			changes[i] = ed.op.change()
		}
	}
	var err error
	if len(changes) > 0 {
		doc, err = doc.EditAll(changes)
	}
	if err == nil && len(copies) > 0 { // an edit moves no section
		doc, err = doc.Duplicate(copies)
	}
	if err == nil && len(gone) > 0 {
		doc, err = doc.RemoveAll(gone...)
	}
	for _, ed := range added {
		if err == nil {
			doc, err = ed.op.appended(doc)
		}
	}
	return doc, err
}

// intend writes the intent of each edit, and seals the image from before with
// it. The first is on disk before the others, whose images refer to it.
func (e *Engine) intend(path string, edits []*edit, data, image, after []byte) error {
	failed := false
	one := func(ed *edit) {
		d := &delivery{Path: path, Site: ed.site.n, Before: digest(data), After: digest(after), Edits: len(edits),
			RunnerID: ed.op.issued.ID, NewToken: ed.op.issued.Token.Fingerprint(), OldToken: ed.site.Before}
		if ed.err = e.sealImage(ed.op, ed.step, d, image); ed.err == nil && ed.step == rekey.StepDeliver {
			ed.site.delivered = d
		}
	}
	one(edits[0])
	var wait sync.WaitGroup
	slots := make(chan struct{}, laneWidth)
	for _, ed := range edits[1:] {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			one(ed)
			_ = ed.op.journal.Close() // a thousand are more than the files a process may have open
		})
	}
	wait.Wait()
	for _, ed := range edits {
		failed = failed || ed.err != nil
	}
	if failed {
		return errAgain
	}
	return nil
}

// arrived looks at the file after an edit that failed in a way that leaves open
// whether it was made (the disk failed behind the exchange). It returns nil when
// the new bytes are there, and errUnclear while nobody can look.
func (e *Engine) arrived(path, after string, failed error) error {
	if rekey.KindOf(failed) != rekey.KindUnavailable {
		return failed
	}
	data, err := e.Host.Read(path)
	switch {
	case err != nil:
		return errUnclear{errors.Join(failed, err)}
	case digest(data) == after:
		return nil
	}
	return failed
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
