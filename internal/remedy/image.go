package remedy

import (
	"encoding/json"
	"slices"
	"sync"

	"rekey"
)

// image says how the config from before an edit is sealed where not whole: as its
// difference from the one that another edit of the same run sealed. A thousand
// edits of one file would else seal it a thousand times.
type image struct {
	Digest string          `json:"digest"` // of the whole
	Base   rekey.Operation `json:"base"`   // whose journal has the other
	Of     string          `json:"of"`     // the other's digest
}

// difference is what is sealed then: the other image's first and last bytes are
// this one's too.
type difference struct {
	Head, Tail int
	Middle     []byte
}

// images knows the last image of each config in this run, and some that were put
// together from differences.
type images struct {
	mu    sync.Mutex
	last  map[string]lastImage
	whole map[string][]byte // by digest
}

type lastImage struct {
	op     rekey.Operation
	digest string
	bytes  []byte
	chain  int // how many differences it is away from a whole one
}

// chainLimit bounds how many journals one image is put together from.
const chainLimit = 32

// sealImage writes the intent of an edit, and with it the image from before.
func (e *Engine) sealImage(op *operation, step rekey.StepKind, d *delivery, data []byte) error {
	e.images.mu.Lock()
	last := e.images.last[d.Path]
	e.images.mu.Unlock()
	next := lastImage{op: op.id, digest: digest(data), bytes: data}
	sealed := data
	if last.bytes != nil && runOf(last.op) == runOf(op.id) && last.op != op.id && last.chain < chainLimit {
		diff := differ(last.bytes, data)
		if text, err := json.Marshal(diff); err == nil && len(text) < len(data) {
			d.Image, sealed, next.chain = &image{next.digest, last.op, last.digest}, text, last.chain+1
		}
	}
	if err := op.journal.Write(step, rekey.PhaseIntent, d, sealed); err != nil {
		return err
	}
	if d.Image != nil && last.digest == next.digest { // of one batch: all refer to its first
		return nil
	}
	e.images.mu.Lock()
	defer e.images.mu.Unlock()
	if e.images.last == nil {
		e.images.last = map[string]lastImage{}
	}
	e.images.last[d.Path] = next
	return nil
}

func differ(from, to []byte) difference {
	n := min(len(from), len(to))
	head := 0
	for head < n && from[head] == to[head] {
		head++
	}
	tail := 0
	for tail < n-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	return difference{head, tail, to[head : len(to)-tail]}
}

func (d difference) apply(from []byte) []byte {
	if d.Head < 0 || d.Tail < 0 || d.Head+d.Tail > len(from) {
		return nil
	}
	return slices.Concat(from[:d.Head], d.Middle, from[len(from)-d.Tail:])
}

// lastEdit is the newest intent of an edit of the site, whichever step's.
func (op *operation) lastEdit(s *site) (rekey.Record, delivery, error) {
	for _, r := range slices.Backward(op.journal.Records()) {
		if r.Step != rekey.StepDeliver && r.Step != rekey.StepSwap || r.Phase != rekey.PhaseIntent {
			continue
		}
		var d delivery
		if err := json.Unmarshal(r.Data, &d); err != nil {
			return r, d, err
		}
		if d.Site == s.n {
			return r, d, nil
		}
	}
	return rekey.Record{}, delivery{}, rekey.Errorf(rekey.KindInternal, "journal %s has no image of the config", op.id)
}

// imageIn opens the image that a record seals.
func (e *Engine) imageIn(j *Journal, r rekey.Record) ([]byte, error) {
	var d delivery
	if err := json.Unmarshal(r.Data, &d); err != nil {
		return nil, err
	}
	sealed, err := j.unseal(r)
	if err != nil || d.Image == nil {
		return sealed, err
	}
	if whole, known := e.images.known(d.Image.Digest); known {
		return whole, nil
	}
	base, err := e.imageOf(d.Image.Base, d.Image.Of)
	if err != nil {
		return nil, err
	}
	var diff difference
	if err := json.Unmarshal(sealed, &diff); err != nil {
		return nil, err
	}
	whole := diff.apply(base)
	if digest(whole) != d.Image.Digest {
		return nil, rekey.Errorf(rekey.KindInternal, "the image in journal %s, as told by its difference from that in %s, is not the one that was sealed", j.id, d.Image.Base)
	}
	e.images.remember(d.Image.Digest, whole)
	return whole, nil
}

// imageOf opens the image with that digest in another operation's journal.
func (e *Engine) imageOf(id rekey.Operation, want string) ([]byte, error) {
	j, err := e.Store.Open(id)
	if err != nil {
		return nil, err
	}
	for _, r := range j.Records() {
		if r.Step != rekey.StepDeliver && r.Step != rekey.StepSwap || r.Phase != rekey.PhaseIntent {
			continue
		}
		var d delivery
		if err := json.Unmarshal(r.Data, &d); err != nil {
			return nil, err
		}
		if d.Image != nil && d.Image.Digest != want {
			continue
		}
		found, err := e.imageIn(j, r)
		if err != nil || digest(found) == want {
			return found, err
		}
	}
	return nil, rekey.Errorf(rekey.KindNotFound, "the image of a config in journal %s is gone", id).
		WithHint("restore that journal from a backup of %s", e.Store.dir)
}

func (i *images) known(digest string) ([]byte, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	whole, known := i.whole[digest]
	return whole, known
}

func (i *images) remember(digest string, whole []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.whole == nil || len(i.whole) > chainLimit {
		i.whole = map[string][]byte{}
	}
	i.whole[digest] = whole
}
