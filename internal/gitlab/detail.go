package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// Detail is one record as it was at a moment.
type Detail struct {
	Runner        rekey.Runner
	ReadAt        time.Time // by GitLab's clock, whole seconds
	Managers      []rekey.Manager
	ManagersKnown bool  // this GitLab lists them (17.1 and later)
	Err           error // why the record or its managers could not be read
}

// detailWorkers is how many records are read side by side; the budget decides
// how fast that is.
const detailWorkers = 16

// Detail reads a record and its managers. The moment is GitLab's: ours may be
// wrong by more than a threshold.
func (c *Client) Detail(ctx context.Context, id rekey.RunnerID) Detail {
	op := operation{what: fmt.Sprintf("read runner %d", id), scope: scopeRead, role: roleRead}
	w, resp, err := fetch[wireRunner](ctx, c, op, fmt.Sprintf("runners/%d", id), nil)
	if err == nil && w.ID != int64(id) {
		err = op.fail(rekey.KindUnavailable, nil, "the answer is about another runner or none")
	}
	if err != nil {
		return Detail{Runner: rekey.Runner{ID: id}, Err: err}
	}
	d := Detail{Runner: w.runner(), ReadAt: serverNow(resp.Header, c.opts.Now()).Truncate(time.Second)}
	d.Managers, d.ManagersKnown, d.Err = c.Managers(ctx, id)
	return d
}

// Details reads records and their managers, several at once, in the order of
// ids. A record that cannot be read has its own Err; a refused user token or the
// end of ctx ends all. progress may be nil and is called from several goroutines.
func (c *Client) Details(ctx context.Context, ids []rekey.RunnerID, progress func(done, total int)) ([]Detail, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make([]Detail, len(ids))
	next := make(chan int)
	var done struct {
		sync.Mutex
		n int
	}
	var workers sync.WaitGroup
	for range min(detailWorkers, len(ids)) {
		workers.Go(func() {
			for i := range next {
				found[i] = c.Detail(ctx, ids[i])
				if errors.Is(found[i].Err, ErrTokenRefused) {
					cancel(found[i].Err)
				}
				done.Lock()
				done.n++
				n := done.n
				done.Unlock()
				if progress != nil {
					progress(n, len(ids))
				}
			}
		})
	}
	feed(ctx, next, len(ids))
	workers.Wait()
	return found, context.Cause(ctx)
}

func feed(ctx context.Context, next chan<- int, n int) {
	defer close(next)
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			return
		}
	}
}

// ServerTime reads GitLab's clock from the Date of an answer, in whole seconds.
func (c *Client) ServerTime(ctx context.Context) (time.Time, error) {
	op := operation{what: "read GitLab's clock", scope: "read_api (or api)", role: "any user"}
	_, resp, err := fetch[[]wireRunner](ctx, c, op, "runners", &api.ListRunnersOptions{ListOptions: api.ListOptions{PerPage: 1}})
	if err != nil {
		return time.Time{}, err
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}, op.fail(rekey.KindUnavailable, nil, "the answer has no Date")
	}
	return at, nil
}

// DeleteRunnerUnchanged is DeleteRunner of a record that was not changed after
// read, GitLab's clock (If-Unmodified-Since; every DELETE of GitLab's API takes
// it). KindConflict means that it was, and that it stays. The header has whole
// seconds, so a change within the second of reading counts as one after it. A
// mere contact is no change: look at the contact times right before.
func (c *Client) DeleteRunnerUnchanged(ctx context.Context, id rekey.RunnerID, read time.Time) error {
	op := operation{what: fmt.Sprintf("delete runner %d", id), scope: scopeManage, role: roleManage}
	return c.change(ctx, "delete", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		o = append(o, api.WithHeader("If-Unmodified-Since", read.Add(-time.Second).UTC().Format(http.TimeFormat)))
		return c.api.Runners.RemoveRunner(int64(id), o...)
	})
}
