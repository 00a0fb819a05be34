package lab

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// queueTTL is how long a last_update value answers from memory.
const queueTTL = time.Hour

// managerKey names a manager; an empty system id stands for the record itself.
type managerKey struct {
	runner   int64
	systemID string
}

// queue answers idle polls from memory: per runner the value that the next poll
// must echo, and per manager when it was seen and when that was written. A
// change that may give a runner work forgets its value, so that the next poll
// looks into the database.
type queue struct {
	now   func() time.Time
	polls pollMemo

	mu     sync.Mutex
	values map[string]*queueValue // by token digest
	seenAt map[managerKey]sighting
}

type queueValue struct {
	runner      int64
	tags        list
	runUntagged bool
	value       string
	since       time.Time
	expires     time.Time     // of the token; zero: never
	changed     chan struct{} // closed when the value is forgotten; nil while nobody waits
}

type sighting struct{ seen, written time.Time }

func newQueue(now func() time.Time) *queue {
	return &queue{now: now, values: map[string]*queueValue{}, seenAt: map[managerKey]sighting{}}
}

// idle reports whether a poll with this value needs no database: the token is
// known, nothing changed, and no contact is due to be written.
func (q *queue) idle(digest []byte, systemID, lastUpdate string) bool {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	v := q.current(digest, lastUpdate, now)
	if v == nil {
		return false
	}
	key := managerKey{v.runner, systemID}
	s, met := q.seenAt[key]
	if !met || due(key, s.written, now) {
		return false
	}
	q.seenAt[key] = sighting{now, s.written}
	q.seenAt[managerKey{v.runner, ""}] = sighting{seen: now}
	return true
}

// current is the value that a poll echoes, nil where it is not that any more.
func (q *queue) current(digest []byte, lastUpdate string, now time.Time) *queueValue {
	v, known := q.values[string(digest)]
	if !known || v.value != lastUpdate || now.Sub(v.since) >= queueTTL || !v.expires.IsZero() && !now.Before(v.expires) {
		return nil
	}
	return v
}

// watch returns a channel that is closed when the value is forgotten, nil where
// it is not the current one.
func (q *queue) watch(digest []byte, lastUpdate string) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	v := q.current(digest, lastUpdate, q.now())
	if v == nil {
		return nil
	}
	if v.changed == nil {
		v.changed = make(chan struct{})
	}
	return v.changed
}

// forget drops a value and wakes who waits for it.
func (q *queue) forget(digest string) {
	if v := q.values[digest]; v != nil && v.changed != nil {
		close(v.changed)
	}
	delete(q.values, digest)
}

// value returns what the runner must echo, made anew where it was forgotten. It
// is called inside the transaction that found no job: a job that commits later
// forgets the value later.
func (q *queue) value(digest []byte, r *runner) string {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	v, known := q.values[string(digest)]
	if !known || now.Sub(v.since) >= queueTTL {
		q.forget(string(digest))
		v = &queueValue{runner: r.ID, tags: r.Tags, runUntagged: r.RunUntagged, value: hex.EncodeToString(randomBytes(16)), since: now, expires: r.TokenExpiresAt.Time}
		q.values[string(digest)] = v
	}
	return v.value
}

// tick forgets the values of runners that a job with these tags may go to.
func (q *queue) tick(tags []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for digest, v := range q.values {
		if v.takes(tags) {
			q.forget(digest)
		}
	}
}

func (v *queueValue) takes(tags []string) bool {
	if len(tags) == 0 {
		return v.runUntagged
	}
	return !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(v.tags, tag) })
}

// tickAll forgets every value.
func (q *queue) tickAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for digest := range q.values {
		q.forget(digest)
	}
}

// forgetRunner drops what is known of a record: its token, attributes or
// managers changed. Contact times stay with the database.
func (q *queue) forgetRunner(id int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for digest, v := range q.values {
		if v.runner == id {
			q.forget(digest)
		}
	}
	for key := range q.seenAt {
		if key.runner == id {
			delete(q.seenAt, key)
		}
	}
}

// changed drops the value of an edited record and keeps its contacts.
func (q *queue) changed(id int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for digest, v := range q.values {
		if v.runner == id {
			q.forget(digest)
		}
	}
}

// seen records a contact that was, or need not be, written.
func (q *queue) seen(key managerKey, now, written time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seenAt[key] = sighting{now, written}
	q.seenAt[managerKey{key.runner, ""}] = sighting{seen: now}
}

// lastSeen is the later of the written contact and the one in memory: as GitLab,
// which reads its cache first, the API shows contacts sooner than the table.
func (q *queue) lastSeen(key managerKey, written stamp) stamp {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := q.seenAt[key]; s.seen.After(written.Time) {
		return at(s.seen)
	}
	return written
}

// idlePoll answers POST /jobs/request from memory when nothing changed since the
// value that the runner echoes. Otherwise the body is put back and it reports
// false.
func (s *Server) idlePoll(w http.ResponseWriter, r *http.Request) bool {
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failingReader{err}))
		return false
	}
	poll := s.idlePollBody(body)
	if poll == nil {
		return false
	}
	if s.tooMany(limitJobRequest, poll.Token) {
		s.reply(w, r, http.Header{}, answer{}, s.limitedAnswer())
		return true
	}
	w.Header().Set("X-GitLab-Last-Update", poll.LastUpdate)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// readAll is io.ReadAll into a buffer of the length that was announced (-1: none).
func readAll(r io.Reader, length int64) ([]byte, error) {
	var all bytes.Buffer
	all.Grow(int(min(max(length, 0), 64<<10)) + bytes.MinRead)
	_, err := all.ReadFrom(r)
	return all.Bytes(), err
}

// failingReader ends a body with the error that reading it gave.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
