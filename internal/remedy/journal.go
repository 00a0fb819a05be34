package remedy

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"sync"

	"filippo.io/age"

	"rekey"
	"rekey/internal/durable"
)

// Journal is the record of one operation: append-only, fsynced line by line,
// secrets sealed. One process writes it at a time (Store.Lock). It is safe for
// concurrent use: the hosts of one operation are written side by side.
type Journal struct {
	id    rekey.Operation
	store *Store

	mu      sync.Mutex
	log     *durable.Log // nil until something is written
	records []rekey.Record
}

// Open reads an operation's journal; that of a new operation is empty and made
// with its first record. A line torn by a crash at the end is dropped: its act had
// not been acknowledged.
func (s *Store) Open(id rekey.Operation) (*Journal, error) {
	lines, err := durable.ReadLog(s.path(id))
	if err != nil && rekey.KindOf(err) != rekey.KindNotFound {
		return nil, err
	}
	j := &Journal{id: id, store: s}
	for _, line := range lines {
		var r rekey.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, rekey.Errorf(rekey.KindInternal, "journal %s, record %d: %w", id, len(j.records)+1, err)
		}
		j.records = append(j.records, r)
	}
	return j, nil
}

func (s *Store) path(id rekey.Operation) string {
	return filepath.Join(s.operations(), string(id)+journalSuffix)
}

// Close releases the file; a later Write opens it again.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.log == nil {
		return nil
	}
	err := j.log.Close()
	j.log = nil
	return err
}

// Records returns what was written so far; the caller does not change it.
func (j *Journal) Records() []rekey.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records[:len(j.records):len(j.records)]
}

// ended reports whether the last word is that the operation has ended.
func (j *Journal) ended() bool {
	records := j.Records()
	if len(records) == 0 {
		return false
	}
	last := records[len(records)-1]
	return last.Step == rekey.StepEnd && last.Phase == rekey.PhaseOutcome
}

// Write appends one record and returns once it is on disk. secret, when not nil,
// is sealed first; data must hold none.
func (j *Journal) Write(step rekey.StepKind, phase rekey.Phase, data any, secret []byte) error {
	return j.append(rekey.Record{Step: step, Phase: phase}, data, secret)
}

// Fail appends a failed outcome.
func (j *Journal) Fail(step rekey.StepKind, reason error) error {
	return j.append(rekey.Record{Step: step, Phase: rekey.PhaseOutcome, Failed: reason.Error()}, nil, nil)
}

func (j *Journal) append(r rekey.Record, data any, secret []byte) (err error) {
	if data != nil {
		if r.Data, err = json.Marshal(data); err != nil {
			return err
		}
	}
	if secret != nil {
		if r.Sealed, err = j.store.seal(secret); err != nil {
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Seq, r.At = len(j.records)+1, j.store.clock.Now().UTC()
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if j.log == nil {
		j.log, err = durable.OpenLog(j.store.path(j.id))
	}
	if err == nil {
		err = j.log.Append(line)
	}
	if err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "the journal cannot be written: %w", err).
			WithHint("make room in %s, then run `rekey fix` again: it resumes", j.store.dir)
	}
	j.records = append(j.records, r)
	return nil
}

// unseal opens what a record sealed.
func (j *Journal) unseal(r rekey.Record) ([]byte, error) {
	plain, err := age.Decrypt(bytes.NewReader(r.Sealed), j.store.key)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindDenied, "record %d of journal %s cannot be opened: %w", r.Seq, j.id, err).
			WithHint("%s is not the key that sealed it", j.store.keyPath())
	}
	return io.ReadAll(plain)
}
