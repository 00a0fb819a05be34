package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"rekey"
	"rekey/internal/durable"
)

// maxRecords bounds what one command makes.
const maxRecords = 100_000

// recordMakers are how many requests make records at once.
const recordMakers = 8

// record is what POST /user/runners tells of a new runner.
type record struct {
	ID    int64  `json:"id"`
	Token string `json:"token"`
}

// makeRecords makes instance runners on the running lab and writes a config of one
// section each, which must be new: no config of anybody is touched.
func (a *App) makeRecords(ctx context.Context, in SimulatedInput) error {
	if in.Records < 1 || in.Records > maxRecords {
		return rekey.Errorf(rekey.KindInvalid, "%d records cannot be made", in.Records).WithHint("use a number from 1 to %d", maxRecords)
	}
	if _, err := os.Lstat(in.Config); !errors.Is(err, fs.ErrNotExist) {
		return rekey.Errorf(rekey.KindConflict, "%s is there already: the config for the new records must be a new file", in.Config).
			WithHint("name a file that is not there with --config; run it again without --records")
	}
	return a.withRunningLab(ctx, in.LabDir, func(c *labClient) error {
		made, err := c.makeRecords(ctx, in.Records)
		if err != nil {
			return err
		}
		return durable.WriteNew(in.Config, []byte(fleetConfig(c.base, made)), 0o600)
	})
}

func (c *labClient) makeRecords(ctx context.Context, n int) ([]record, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	made := make([]record, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range recordMakers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				body := map[string]any{"runner_type": "instance_type", "description": fmt.Sprintf("fleet-%d", i+1)}
				if err := c.call(ctx, http.MethodPost, "/api/v4/user/runners", http.StatusCreated, body, &made[i]); err != nil {
					stop(err)
				}
			}
		})
	}
	all.Wait()
	return made, context.Cause(ctx)
}

// fleetConfig is one process with a section per record, free to poll with all of
// them at once.
func fleetConfig(url string, made []record) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# written by rekey lab runner --records\nconcurrent = %d\ncheck_interval = 3\n", len(made))
	for i, r := range made {
		fmt.Fprintf(&text, "\n[[runners]]\n  name = \"fleet-%d\"\n  url = %q\n  id = %d\n  token = %q\n  executor = \"shell\"\n", i+1, url, r.ID, r.Token)
	}
	return text.String()
}
