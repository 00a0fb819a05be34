package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// JournalCommand is what Journal runs, without its options of form.
const JournalCommand = "journalctl -u gitlab-runner --since -24h"

// Journal returns gitlab-runner's journal of the last day, with times that name
// their zone. It is killed when ctx ends. Close reports how the command ended: an
// error says why the journal is not whole.
func (h Host) Journal(ctx context.Context) (io.ReadCloser, error) {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, errors.New("journalctl is not there; give the log with --log FILE")
	}
	cmd := exec.CommandContext(ctx, path, append(strings.Fields(JournalCommand)[1:], "--no-pager", "--quiet", "-o", "short-iso")...)
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("journalctl cannot be run: %w", err)
	}
	return &journal{Reader: io.LimitReader(out, mostJournal), cmd: cmd, out: out}, nil
}

// mostJournal bounds what is read of a journal.
const mostJournal = 64 << 20

type journal struct {
	io.Reader
	cmd *exec.Cmd
	out io.Closer
}

// Close ends the command where it still writes.
func (j *journal) Close() error {
	_ = j.out.Close()
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("journalctl: %w", err)
	}
	return nil
}
