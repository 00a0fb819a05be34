package file

import (
	"context"
	"os"
	"sync"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

// lookEvery is how often watched files are looked at from outside. They may lie in
// a folder that several machines share, where a kernel tells of its own writes alone.
const lookEvery = time.Second

// Watch returns once the file holds another version, or none. Files are looked at
// every second, all of them by one goroutine.
func (s *Store) Watch(ctx context.Context, ref secretstore.Ref, since secretstore.Version) error {
	for {
		seen, told := s.watched.add(ref.Name)
		now, err := s.Get(ctx, ref, "")
		if rekey.KindOf(err) == rekey.KindNotFound && err != nil {
			err = nil // now is no version
		}
		if err != nil || now.Version != since {
			s.watched.remove(seen)
			return err
		}
		select {
		case <-ctx.Done():
			s.watched.remove(seen)
			return ctx.Err()
		case <-told:
		}
	}
}

// watched are the files that are looked at. The goroutine lives while there are any.
type watched struct {
	mu    sync.Mutex
	files map[*outside]bool
	stop  chan struct{}
}

// outside is what one file looks like to those who do not open it.
type outside struct {
	path string
	info os.FileInfo // nil: there is none
	told chan struct{}
}

// add begins to look; told is closed when the file differs, and the looking is over
// then.
func (w *watched) add(path string) (f *outside, told <-chan struct{}) {
	f = &outside{path: path, told: make(chan struct{})}
	f.info, _ = os.Stat(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.files) == 0 {
		w.files, w.stop = map[*outside]bool{}, make(chan struct{})
		go w.look(w.stop)
	}
	w.files[f] = true
	return f, f.told
}

func (w *watched) remove(f *outside) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.files[f] {
		return
	}
	delete(w.files, f)
	w.rest()
}

// rest ends the goroutine that has nothing to look at.
func (w *watched) rest() {
	if len(w.files) == 0 && w.stop != nil {
		close(w.stop)
		w.stop = nil
	}
}

func (w *watched) look(stop <-chan struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			w.tell(stop)
		}
	}
}

// tell closes what differs.
func (w *watched) tell(stop <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != stop { // it was ended meanwhile, and another one looks
		return
	}
	for f := range w.files {
		if now, err := os.Stat(f.path); !f.differs(now, err) {
			continue
		}
		delete(w.files, f)
		close(f.told)
	}
	w.rest()
}

func (f *outside) differs(now os.FileInfo, err error) bool {
	if err != nil || f.info == nil {
		return (err == nil) != (f.info != nil)
	}
	return !os.SameFile(f.info, now) || !now.ModTime().Equal(f.info.ModTime()) || now.Size() != f.info.Size()
}
