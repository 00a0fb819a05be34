package app

import (
	"os"
	"path/filepath"
	"sync"

	"rekey/internal/durable"
)

// dirLocks are the directories of this machine that one run has locked. Two configs
// of one directory are one lock: it is taken for the first of them, and ends with
// the last. Other runs are kept out, in this process too. Safe for concurrent use.
type dirLocks struct {
	mu   sync.Mutex
	held []*dirLock
}

type dirLock struct {
	dir    os.FileInfo
	users  int
	unlock func()
	// edit is held while a file is replaced: a write in place would not see another
	// one of the same file that goes by a second name.
	edit sync.Mutex
}

// lock locks a config's directory. A killed edit's remains are settled by the first
// user alone: what lies there later may be another user's edit under way.
func (l *dirLocks) lock(path string) (unlock func(), err error) {
	dir := realDir(path)
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.find(dir)
	if d == nil {
		if d, err = lockDir(dir); err != nil {
			return nil, err
		}
		l.held = append(l.held, d)
	}
	d.users++
	return sync.OnceFunc(func() { l.release(d) }), nil
}

func lockDir(dir string) (*dirLock, error) {
	unlock, err := durable.LockDir(dir)
	if err != nil {
		return nil, err
	}
	_, _, err = durable.CleanStale(dir)
	info, serr := os.Stat(dir)
	if err == nil {
		err = serr
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return &dirLock{dir: info, unlock: unlock}, nil
}

func (l *dirLocks) release(d *dirLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.users--; d.users > 0 {
		return
	}
	for i, held := range l.held {
		if held == d {
			l.held = append(l.held[:i], l.held[i+1:]...)
			break
		}
	}
	d.unlock()
}

// replace is durable.Replace, one at a time in a directory that is locked.
func (l *dirLocks) replace(path string, expect, next []byte, opts ...durable.Option) (durable.Replaced, error) {
	l.mu.Lock()
	d := l.find(realDir(path))
	l.mu.Unlock()
	if d != nil {
		d.edit.Lock()
		defer d.edit.Unlock()
	}
	return durable.Replace(path, expect, next, append(opts, durable.AllowInPlace)...)
}

// find knows a directory by what it is, not by its name: a bind mount is locked with
// it. The caller holds mu.
func (l *dirLocks) find(dir string) *dirLock {
	info, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	for _, d := range l.held {
		if os.SameFile(d.dir, info) {
			return d
		}
	}
	return nil
}

// realDir is where a config really lies.
func realDir(path string) string { return filepath.Dir(realFile(path)) }

// realFile is the file that a config's name leads to; one that is yet to be made has
// its name, and so has one of another host.
func realFile(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return real
}
