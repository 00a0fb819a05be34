package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/file"
)

// watch looks in the background; the channel has what Watch returned.
func (w world) watch(ctx context.Context, t *testing.T, ref secretstore.Ref) <-chan error {
	t.Helper()
	now, err := w.store.Get(ctx, ref, "")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.store.Watch(ctx, ref, now.Version) }()
	synctest.Wait()
	return ended
}

func open(ended <-chan error) bool {
	synctest.Wait()
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// What another process writes, or takes away, is told of within two seconds; a file that
// holds the same version as before is not. That nothing goes on looking afterwards the
// bubble itself checks.
func TestWatchSeesWhatOthersWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put(t, token)
		other := world{store: file.New(file.Options{KeyFile: w.key, Now: time.Now}), ref: w.ref}
		ended := w.watch(t.Context(), t, w.ref)
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(w.ref.Name, later, later); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Second)
		if !open(ended) {
			t.Fatal("a new time alone ended the watch")
		}
		for _, change := range []func(){
			func() { other.put(t, rekey.NewToken("glrt-CANARYbbbbbbbbbbbbbb")) },
			func() {
				if err := other.store.Delete(t.Context(), w.ref); err != nil {
					t.Fatal(err)
				}
			},
		} {
			change()
			began := time.Now()
			if err := <-ended; err != nil || time.Since(began) > 2*time.Second {
				t.Errorf("got %v after %s, want it told within two seconds", err, time.Since(began))
			}
			if _, err := os.Stat(w.ref.Name); err == nil {
				ended = w.watch(t.Context(), t, w.ref)
			}
		}
	})
}

// Of many files only the one that changed is told of; a watch whose context ends says so.
func TestWatchesOfManyFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, stop := context.WithCancel(t.Context())
		var refs []secretstore.Ref
		var ends []<-chan error
		for i := range 40 {
			ref, err := secretstore.Parse(fmt.Sprintf("file://%s/%d.sealed", w.dir, i))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.store.Put(ctx, ref, token, secretstore.Put{}); err != nil {
				t.Fatal(err)
			}
			refs, ends = append(refs, ref), append(ends, w.watch(ctx, t, ref))
		}
		if _, err := w.store.Put(ctx, refs[7], token, secretstore.Put{}); err != nil {
			t.Fatal(err)
		}
		if err := <-ends[7]; err != nil {
			t.Error(err)
		}
		for i, ended := range ends {
			if i != 7 && !open(ended) {
				t.Errorf("the watch of file %d ended, and only 7 changed", i)
			}
		}
		stop()
		for i, ended := range ends {
			if i == 7 {
				continue
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("file %d: got %v, want that the context ended", i, err)
			}
		}
	})
}
