package lab

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rekey"
)

// rehearsalState is DIR/rehearsal.json: what was ordered of the lab's world rather
// than of its GitLab. It is no part of the database, so that no snapshot turns
// the clock back.
type rehearsalState struct {
	ClockOffset string `json:"clock_offset"`
	ReadOnly    bool   `json:"read_only"`
}

func statePath(dir string) string { return filepath.Join(dir, "rehearsal.json") }

func loadRehearsalState(dir string) (*rehearsalState, error) {
	state := &rehearsalState{}
	raw, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, state)
	}
	if err == nil && state.ClockOffset != "" {
		_, err = time.ParseDuration(state.ClockOffset)
	}
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "%s cannot be read: %w", statePath(dir), err).WithHint("remove it: the lab's clock is then the machine's")
	}
	return state, nil
}

func (s *rehearsalState) offset() time.Duration {
	d, _ := time.ParseDuration(s.ClockOffset) // checked when it was loaded
	return d
}

// store puts a changed state on disk, then in force.
func (r *Rehearsal) store(next rehearsalState) error {
	raw, err := json.Marshal(next)
	if err == nil {
		err = replaceFile(statePath(r.options.Dir), append(raw, '\n'))
	}
	if err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "write the lab's state: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.state = next
	return nil
}

// ordered returns what is in force.
func (r *Rehearsal) ordered() rehearsalState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.state
}
