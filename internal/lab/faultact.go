package lab

import (
	"bytes"
	"context"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// wrap carries out what was ordered for a request; without an order nothing
// happens to it.
func (o *faultOrders) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := o.take(r)
		if f == nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set(FaultHeader, f.Name)
		if !f.wait(r.Context()) {
			panic(http.ErrAbortHandler)
		}
		f.act(w, r, next)
	})
}

// wait reports false when nobody waits for the answer any more.
func (f *Fault) wait(ctx context.Context) bool {
	if f.Delay == "" {
		return true
	}
	delay, _ := ParseDuration(f.Delay) // checked when it was ordered
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *Fault) act(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !f.Reset && f.Status == 0 && f.Truncate == nil {
		next.ServeHTTP(w, r)
		return
	}
	done := &recording{header: w.Header().Clone(), status: http.StatusOK}
	if f.AfterCommit || f.Truncate != nil {
		next.ServeHTTP(done, r)
	}
	switch {
	case f.Reset:
		resetConnection(w)
	case f.Truncate != nil:
		truncated(w, done, *f.Truncate)
	default:
		w.Header().Set("Content-Type", f.contentType())
		for name, value := range f.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(f.Status)
		if f.Status != http.StatusNoContent && f.Status != http.StatusNotModified {
			_, _ = w.Write([]byte(f.Body))
		}
	}
}

// recording keeps an answer instead of sending it.
type recording struct {
	header  http.Header
	status  int
	started bool
	body    bytes.Buffer
}

func (c *recording) Header() http.Header { return c.header }

func (c *recording) WriteHeader(status int) {
	if !c.started {
		c.status, c.started = status, true
	}
}

func (c *recording) Write(p []byte) (int, error) {
	c.started = true
	return c.body.Write(p)
}

// resetConnection ends the connection with a TCP reset, as a middlebox or a dying
// server does.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// truncated announces the whole body, sends the first bytes of it, never all, and
// ends the connection. An answer without a body is lost as a whole.
func truncated(w http.ResponseWriter, done *recording, bytes int) {
	body := done.body.Bytes()
	if len(body) == 0 {
		resetConnection(w)
		return
	}
	maps.Copy(w.Header(), done.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(done.status)
	_, _ = w.Write(body[:min(bytes, len(body)-1)])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
