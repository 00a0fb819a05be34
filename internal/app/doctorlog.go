package app

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/host"
)

// mostLog is how many bytes of one log are read, the last ones.
const mostLog = 256 << 20

// openLogs returns the logs that were named. One that is not there is an error at
// once: it was asked for.
func openLogs(paths []string) ([]controller.Log, error) {
	var logs []controller.Log
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, rekey.Errorf(rekey.KindNotFound, "the log cannot be read: %w", err).WithHint("name a file with --log, or pipe it into `rekey explain`")
		case !info.Mode().IsRegular():
			return nil, rekey.Errorf(rekey.KindInvalid, "%s is not a regular file", path).WithHint("name a file with --log, or pipe it into `rekey explain`")
		}
		logs = append(logs, controller.Log{Name: path, Open: func(context.Context) (io.ReadCloser, error) { return tail(path) }})
	}
	return logs, nil
}

// tail opens the last part of a file.
func tail(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Size() > mostLog {
		if _, err := f.Seek(-mostLog, io.SeekEnd); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, mostLog), f}, nil
}

// journals returns the log of the service where a gitlab-runner runs here: its
// journal, or on macOS the file that its LaunchAgent writes. Elsewhere there is none
// worth a note.
func journals(h host.Host) []controller.Log {
	if path := filepath.Join(h.Home, "Library", "Logs", "gitlab-runner.err.log"); h.GOOS == "darwin" && h.Home != "" {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return nil
		}
		return []controller.Log{{Name: path, Open: func(context.Context) (io.ReadCloser, error) { return tail(path) }, Patience: 2 * time.Second}}
	}
	running, _ := h.Processes()
	if !slices.ContainsFunc(running, func(p host.Process) bool { return p.Executable == "gitlab-runner" && p.Command == "run" }) {
		return nil
	}
	return []controller.Log{{Name: host.JournalCommand, Open: h.Journal, Patience: 2 * time.Second}}
}
