package remedy

import "sync"

// queues lets those who want to edit one config at one time do it together: the
// first to come works for all that came while it did.
type queues struct {
	mu   sync.Mutex
	open map[string]*queue
}

type queue struct {
	waiting []waiter
	busy    bool
}

type waiter struct {
	edit *edit
	done chan error
}

// do has work called with a batch that holds ed, and returns what it returned.
func (q *queues) do(path string, ed *edit, work func([]*edit) error) error {
	w := waiter{ed, make(chan error, 1)}
	q.mu.Lock()
	if q.open == nil {
		q.open = map[string]*queue{}
	}
	own := q.open[path]
	if own == nil {
		own = &queue{}
		q.open[path] = own
	}
	own.waiting = append(own.waiting, w)
	lead := !own.busy
	own.busy = true
	q.mu.Unlock()
	if lead {
		q.lead(own, work)
	}
	return <-w.done
}

func (q *queues) lead(own *queue, work func([]*edit) error) {
	for {
		q.mu.Lock()
		batch := own.waiting
		own.waiting = nil
		own.busy = len(batch) > 0
		q.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		var edits []*edit
		for _, w := range batch {
			edits = append(edits, w.edit)
		}
		err := work(edits)
		for _, w := range batch {
			w.done <- err
		}
	}
}
