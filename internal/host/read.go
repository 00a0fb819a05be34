package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rekey"
)

// MaxConfig is the size above which a file is not taken for a config. Ten
// thousand sections are about 4 MiB.
const MaxConfig = 64 << 20

// ErrEmpty is wrapped by Read's error for a file of no bytes; the File is
// returned with it. gitlab-runner takes such a file for one without sections.
var ErrEmpty = errors.New("the file is empty")

// File is a config as it was read.
type File struct {
	Path      string // as given
	RealPath  string // symbolic links resolved
	Data      []byte
	Mode      fs.FileMode
	UID, GID  int // -1 where the system has none
	ModTime   time.Time
	Generated string // the tool that writes the file, "" when none is known
}

// Read reads the config at path, following symbolic links. Errors are of kind
// not found, denied or invalid and hold a hint; they never quote the content.
func (h Host) Read(path string) (File, error) {
	f := File{Path: path, UID: -1, GID: -1}
	info, err := os.Stat(path)
	if err != nil {
		return f, statError(path, err)
	}
	if f.RealPath, err = filepath.EvalSymlinks(path); err != nil {
		return f, statError(path, err)
	}
	if err := readable(path, info); err != nil {
		return f, err
	}
	if f.Data, info, err = h.readStable(path); err != nil {
		return f, err
	}
	f.Mode, f.ModTime = info.Mode(), info.ModTime()
	f.UID, f.GID = ownerOf(info)
	if len(f.Data) == 0 {
		return f, Empty(path)
	}
	f.Generated = h.generated(f)
	return f, nil
}

func readable(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return rekey.Errorf(rekey.KindInvalid, "%s is a directory", path).
			WithHint("name the file: %s; a bind mount of a file that did not exist makes such a directory", filepath.Join(path, "config.toml"))
	case !info.Mode().IsRegular():
		return rekey.Errorf(rekey.KindInvalid, "%s is not a regular file (%s)", path, info.Mode().Type())
	case info.Size() > MaxConfig:
		return TooLarge(path, MaxConfig)
	}
	return nil
}

// Empty is the error of a config of no bytes. It wraps ErrEmpty.
func Empty(path string) error {
	return &rekey.Error{Kind: rekey.KindInvalid, Err: ErrEmpty, Msg: path + " is empty",
		Hint: "a write cut short by a full disk or a crash leaves it so: put a backup in its place and give it a new mtime"}
}

// TooLarge is the error of a file above limit, in bytes.
func TooLarge(path string, limit int) error {
	size := fmt.Sprintf("%d MiB", limit>>20)
	if limit < 1<<20 {
		size = fmt.Sprintf("%d bytes", limit)
	}
	return rekey.Errorf(rekey.KindInvalid, "%s is larger than %s, the most that is read", path, size).
		WithHint("this is hardly the right file: check the path")
}

// How long a file that was emptied just now is given to be written.
const (
	emptiedWithin = time.Second
	emptiedPause  = 25 * time.Millisecond
)

// readStable reads the file, again if it changed meanwhile: gitlab-runner
// truncates and writes in place, so that a reader may see half of it, or a file
// without a byte.
func (h Host) readStable(path string) ([]byte, fs.FileInfo, error) {
	var data []byte
	var after fs.FileInfo
	for tries, pauses := 1, 0; ; {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, statError(path, err)
		}
		before, errBefore := f.Stat()
		data, err = io.ReadAll(io.LimitReader(f, MaxConfig+1))
		info, errAfter := f.Stat()
		_ = f.Close()
		if err := errors.Join(err, errBefore, errAfter); err != nil {
			return nil, nil, statError(path, err)
		}
		if len(data) > MaxConfig {
			return nil, nil, TooLarge(path, MaxConfig)
		}
		after = info
		switch {
		case len(data) == 0 && pauses < int(emptiedWithin/emptiedPause) && h.Now().Sub(info.ModTime()).Abs() < emptiedWithin:
			pauses++
			time.Sleep(emptiedPause)
		case before.ModTime().Equal(info.ModTime()) && int64(len(data)) == info.Size(), tries == 3:
			return data, after, nil
		default:
			tries++
		}
	}
}

// statError turns what the system said into a sentence with a next step.
func statError(path string, err error) error {
	switch {
	case errors.Is(err, errLoop) || err.Error() == "EvalSymlinks: too many links":
		return rekey.Errorf(rekey.KindInvalid, "%s: symbolic links lead in a circle", path).WithHint("see where they lead: ls -l %s", path)
	case errors.Is(err, fs.ErrNotExist):
		if target, linkErr := os.Readlink(path); linkErr == nil {
			return rekey.Errorf(rekey.KindNotFound, "%s is a symbolic link to %s, which does not exist", path, target).
				WithHint("a volume that is not mounted leaves such a link")
		}
		return rekey.Errorf(rekey.KindNotFound, "%s does not exist", path).
			WithHint("name the file with --config; a running gitlab-runner has it in its arguments, or root's is /etc/gitlab-runner/config.toml and a user's ~/.gitlab-runner/config.toml")
	case errors.Is(err, errNotDir):
		return rekey.Errorf(rekey.KindNotFound, "%s: a part of the path is not a directory", path)
	case errors.Is(err, fs.ErrPermission):
		return rekey.Errorf(rekey.KindDenied, "%s may not be read by this user", path).WithHint("the file is of root or of the service's user, as a rule with mode 0600: run rekey as that user, or with sudo")
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s: %w", path, err)
}
