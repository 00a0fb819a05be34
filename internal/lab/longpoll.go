package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"rekey"
)

// maxPollBody bounds a poll's body where polls are held.
const maxPollBody = 32 << 10

const metaLongPolling = "long_polling_ms"

// SetLongPolling sets how long a poll that has nothing new is held, as
// apiCiLongPollingDuration of GitLab's Workhorse does; 0, the default, answers at
// once. It is kept over restarts.
func (s *Server) SetLongPolling(ctx context.Context, d time.Duration) error {
	if d < 0 || d > 4*time.Minute {
		return rekey.Errorf(rekey.KindInvalid, "polls cannot be held for %s", d).WithHint("use 0 to 4m; GitLab recommends 50s")
	}
	err := s.write(ctx, func(t *tx) error { return t.setMeta(metaLongPolling, strconv.FormatInt(d.Milliseconds(), 10)) })
	if err == nil {
		s.longPolling.Store(int64(d))
	}
	return err
}

// LongPolling returns how long polls are held.
func (s *Server) LongPolling() time.Duration { return time.Duration(s.longPolling.Load()) }

// HeldPolls returns how many polls are held now.
func (s *Server) HeldPolls() int { return int(s.heldPolls.Load()) }

func (t *tx) loadLongPolling() error {
	stored, err := t.meta(metaLongPolling)
	if err != nil || stored == "" {
		return err
	}
	ms, err := strconv.ParseInt(stored, 10, 64)
	t.longPolling.Store(ms * int64(time.Millisecond))
	return err
}

// heldPoll holds a poll whose value is still the current one until that changes
// or the time is over, and then answers 204 without X-GitLab-Last-Update: the
// runner keeps the value it has. It reports false, and puts the body back, for
// every other poll.
func (s *Server) heldPoll(w http.ResponseWriter, r *http.Request) bool {
	held := s.LongPolling()
	if held == 0 {
		return false
	}
	w.Header().Set("Gitlab-Ci-Builds-Polling", "yes")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPollBody))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
		return true
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var poll struct {
		Token      string `json:"token"`
		LastUpdate string `json:"last_update"`
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" || json.Unmarshal(body, &poll) != nil || poll.Token == "" || poll.LastUpdate == "" {
		return false
	}
	changed := s.queue.watch(s.secrets.digest(domainRunner, poll.Token), poll.LastUpdate)
	if changed == nil {
		return false
	}
	s.heldPolls.Add(1)
	defer s.heldPolls.Add(-1)
	timer := time.NewTimer(held)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-s.stopping:
	case <-r.Context().Done():
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
