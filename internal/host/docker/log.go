package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/client"

	"rekey"
)

// The bounds of a log: its last lines, and so many bytes of them.
const (
	mostLines = 50_000
	mostLog   = 64 << 20
)

// LogCommand is what a person would type for what Log returns, without its options
// of form.
func (c *Container) LogCommand() string { return "docker logs " + c.Name }

// Log returns the container's log since the time given, each line with its time,
// standard output and standard error in their order. It ends when ctx does.
func (c *Container) Log(ctx context.Context, since time.Time) (io.ReadCloser, error) {
	in, err := c.daemon.client.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true,
		Since: since.UTC().Format(time.RFC3339), Tail: strconv.Itoa(mostLines),
	})
	if err != nil {
		return nil, c.logError(ctx, err)
	}
	bounded := io.LimitReader(in, mostLog)
	if !c.tty {
		bounded = &frames{in: bounded}
	}
	return struct {
		io.Reader
		io.Closer
	}{bounded, in}, nil
}

func (c *Container) logError(ctx context.Context, err error) error {
	e := c.daemon.denied(ctx, "GET /containers/"+c.Name+"/logs", err)
	if rekey.KindOf(e) == rekey.KindUnavailable && ctx.Err() == nil && !client.IsErrConnectionFailed(err) {
		return rekey.Errorf(rekey.KindUnavailable, "the log of container %s cannot be read: %s", c.Name, said(err)).
			WithHint("its logging driver keeps no log on this host (`docker inspect -f '{{.HostConfig.LogConfig.Type}}' %s`): give the log with --log FILE", c.Name)
	}
	return e
}

// frames takes the daemon's frames apart: without a terminal it sends each piece of
// output behind eight bytes, the stream and the length.
type frames struct {
	in   io.Reader
	left uint32
}

// Read returns output of both streams in the order in which the daemon sent it.
func (f *frames) Read(p []byte) (int, error) {
	for f.left == 0 {
		var head [8]byte
		if _, err := io.ReadFull(f.in, head[:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF // cut off by the bound on the log's size
			}
			return 0, err
		}
		if head[0] > 3 || head[1]|head[2]|head[3] != 0 {
			return 0, errors.New("what the Docker daemon sent as a log is not in its own frames")
		}
		f.left = binary.BigEndian.Uint32(head[4:])
	}
	n, err := f.in.Read(p[:min(len(p), int(f.left))])
	f.left -= uint32(n)
	return n, err
}
