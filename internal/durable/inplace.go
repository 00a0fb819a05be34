package durable

import (
	"bytes"
	"errors"
	"os"
	"slices"

	"rekey"
)

// overwrite writes next over the target's own bytes: room first, then the bytes,
// then the length, so that a full disk is met before anything is lost. Where the
// file becomes shorter, newlines stand for the rest until the length is set: the
// tail of the old content might parse. A write that fails half way is taken back.
func (t *target) overwrite(expect, next []byte) (err error) {
	f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
	if err != nil {
		return failure("open", t.path, err)
	}
	defer f.Close()
	err = Call("inplace.reserve", func() error { return reserve(f, int64(len(next))) })
	if err != nil {
		return failure("make room in", t.path, err)
	}
	if err := t.holds(expect); err != nil {
		return err
	}
	if err := write(f, next); err != nil {
		return errors.Join(failure("write", t.path, err), takeBack(f, expect, t.path))
	}
	now, err := os.ReadFile(t.path)
	if err != nil {
		return failure("read", t.path, err)
	}
	if !bytes.Equal(now, next) {
		return rekey.Errorf(rekey.KindConflict, "%s was changed by another process while it was written in place", t.path).
			WithHint("look at the file; the image from before is sealed")
	}
	return Call("inplace.time", func() error { return t.touch(f) })
}

func write(f *os.File, data []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	padded := data
	if surplus := info.Size() - int64(len(data)); surplus > 0 {
		padded = slices.Concat(data, bytes.Repeat([]byte{'\n'}, int(surplus)))
	}
	if err := Call("inplace.write", func() error { _, err := f.WriteAt(padded, 0); return err }); err != nil {
		return err
	}
	if err := Call("inplace.length", func() error { return f.Truncate(int64(len(data))) }); err != nil {
		return err
	}
	return Call("inplace.sync", f.Sync)
}

// Unpadded finds in now, the bytes of a file, what a Replace in place that was
// killed before it set the length was to leave: whole recognises it. The newlines
// behind it were put there by nobody, and go by another Replace. Ok is false where
// now is no such file, or holds the whole and nothing behind it.
func Unpadded(now []byte, whole func([]byte) bool) (left []byte, ok bool) {
	for left = now; bytes.HasSuffix(left, []byte{'\n'}); {
		left = left[:len(left)-1]
		if whole(left) {
			return left, true
		}
	}
	return nil, false
}

func takeBack(f *os.File, expect []byte, path string) error {
	if err := write(f, expect); err != nil {
		return failure("put back the content of", path, err).
			WithHint("%s is torn; put it back from the sealed image", path)
	}
	return nil
}

// touch makes the modification time strictly newer than it was when the target
// was opened.
func (t *target) touch(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	when := newer(t.info.ModTime(), info.ModTime())
	if when.Equal(info.ModTime()) {
		return nil
	}
	return os.Chtimes(f.Name(), when, when)
}
