package lab

import (
	"crypto/sha256"
	"encoding/json"
	"sync"
)

// jobPoll is what an idle POST /jobs/request says as far as memory can answer it.
type jobPoll struct {
	Token      string `json:"token"`
	SystemID   string `json:"system_id"`
	LastUpdate string `json:"last_update"`

	digest []byte // of the token
}

// maxMemo bounds the bodies remembered; beyond it they are all forgotten.
const maxMemo = 1 << 14

// pollMemo remembers what idle polls said. A runner repeats its body byte for byte
// until something changes, and to recognise it costs a third of decoding it. It
// holds no answer: the queue decides about each poll anew.
type pollMemo struct {
	mu     sync.RWMutex
	bodies map[[sha256.Size]byte]*jobPoll
}

func (m *pollMemo) recall(sum [sha256.Size]byte) *jobPoll {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.bodies[sum]
}

func (m *pollMemo) keep(sum [sha256.Size]byte, poll *jobPoll) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bodies == nil || len(m.bodies) >= maxMemo {
		m.bodies = map[[sha256.Size]byte]*jobPoll{}
	}
	m.bodies[sum] = poll
}

// idlePollBody returns what the body says if memory can answer it, else nil.
func (s *Server) idlePollBody(body []byte) *jobPoll {
	sum := sha256.Sum256(body)
	poll := s.queue.polls.recall(sum)
	known := poll != nil
	if !known {
		poll = &jobPoll{}
		if json.Unmarshal(body, poll) != nil || poll.LastUpdate == "" {
			return nil
		}
		if poll.SystemID == "" {
			poll.SystemID = legacySystemID
		}
		poll.digest = s.secrets.digest(domainRunner, poll.Token)
	}
	if !s.queue.idle(poll.digest, poll.SystemID, poll.LastUpdate) {
		return nil
	}
	if !known {
		s.queue.polls.keep(sum, poll)
	}
	return poll
}
