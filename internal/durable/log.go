package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"rekey"
)

// Log is an append-only file of lines, each of which is on disk when Append
// returns nil. Safe for concurrent use in one process; between processes the
// caller holds a lock.
type Log struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64
	bad  error // set when the file's end is not known any more
}

// OpenLog opens the log at path, or creates it (0600) in its directory. A last
// line without its newline is the trace of a crash during Append; it was never
// acknowledged and is cut off.
func OpenLog(path string) (*Log, error) {
	_, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	var f *os.File
	err = Call("log.open", func() (err error) {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		return err
	})
	if err != nil {
		return nil, failure("open", path, err)
	}
	l := &Log{path: path, file: f}
	if err := l.mend(); err != nil {
		f.Close()
		return nil, err
	}
	if isNew {
		if err := syncDir("log", filepath.Dir(path)); err != nil {
			f.Close()
			return nil, err
		}
	}
	return l, nil
}

// mend cuts a torn last line off.
func (l *Log) mend() error {
	data, err := io.ReadAll(l.file)
	if err != nil {
		return failure("read", l.path, err)
	}
	l.size = int64(bytes.LastIndexByte(data, '\n') + 1)
	if l.size == int64(len(data)) {
		return nil
	}
	return l.cut()
}

func (l *Log) cut() error {
	err := Call("log.cut", func() error { return l.file.Truncate(l.size) })
	if err == nil {
		err = Call("log.cut.sync", l.file.Sync)
	}
	if err != nil {
		return failure("cut the torn line of", l.path, err)
	}
	return nil
}

// Append adds record as one line and returns when it is on disk. A record must
// not hold a newline. After an error the log is as it was before; when even that
// cannot be had, every later Append fails.
func (l *Log) Append(record []byte) error {
	if bytes.IndexByte(record, '\n') >= 0 {
		return rekey.Errorf(rekey.KindInternal, "a record of %s holds a newline", l.path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bad != nil {
		return l.bad
	}
	line := append(bytes.Clone(record), '\n')
	err := Call("log.write", func() error { _, err := l.file.WriteAt(line, l.size); return err })
	if err == nil {
		err = Call("log.sync", l.file.Sync)
	}
	if err != nil {
		err := failure("append to", l.path, err)
		l.bad = l.cut()
		return err
	}
	l.size += int64(len(line))
	return nil
}

// Path returns the path that the log was opened with.
func (l *Log) Path() string { return l.path }

// Close releases the file; every acknowledged record is on disk already.
func (l *Log) Close() error { return l.file.Close() }

// ReadLog returns the records of the log at path, oldest first, without a torn
// last line. It changes nothing. A missing log is KindNotFound.
func ReadLog(path string) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, failure("read", path, err)
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	var records [][]byte
	for line := range bytes.Lines(data) {
		records = append(records, line[:len(line)-1])
	}
	return records, nil
}
