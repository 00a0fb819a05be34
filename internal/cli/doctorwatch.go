package cli

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"rekey/internal/app"
)

// watchDoctor looks again and again until ctx ends, and returns what the last
// whole look found; a look that was cut off is not shown. An error is shown and
// does not end the watch: a GitLab that is down is what one watches for.
func (c *command) watchDoctor(ctx context.Context, f *doctorFlags) error {
	if f.watch < time.Second {
		return usageError{fmt.Errorf("--watch %s is too often: a second is the least", f.watch)}
	}
	ticker := time.NewTicker(f.watch)
	defer ticker.Stop()
	var last error
	for {
		if out, err := c.lookOnce(ctx, f); ctx.Err() == nil {
			last = c.showLook(out, err, f)
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}

// showLook puts one look on the screen at once: an empty screen while doctor asks
// would tell nothing.
func (c *command) showLook(out app.DoctorOutput, err error, f *doctorFlags) error {
	if err != nil {
		fmt.Fprintf(c.Err, "rekey: %s\n", c.app.Scrub(err.Error()))
		return exitError(exitFailed)
	}
	if c.OutTTY && f.file == "" && f.output == "table" {
		var b bytes.Buffer
		p := c.paper()
		p.w = &b
		p.line("\x1b[H\x1b[2J%s, every %s; Ctrl-C ends\n", c.app.Now().Format(time.TimeOnly), f.watch)
		doctorTable(p, out)
		if _, err := c.Out.Write(b.Bytes()); err != nil {
			return err
		}
		return c.doctorExit(out, f.threshold)
	}
	if err := c.showDoctor(out, f); err != nil {
		fmt.Fprintf(c.Err, "rekey: %s\n", c.app.Scrub(err.Error()))
		return exitError(exitFailed)
	}
	return c.doctorExit(out, f.threshold)
}
