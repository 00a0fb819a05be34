package app

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// notifier speaks to systemd as sd_notify(3) describes: datagrams to the socket that
// NOTIFY_SOCKET names. Without one it is silent. Safe for concurrent use.
type notifier struct {
	app   *App
	every time.Duration // 0: no watchdog

	mu     sync.Mutex
	conn   net.Conn
	last   time.Time
	status string
	up     bool
}

func newNotifier(a *App) *notifier {
	n := &notifier{app: a}
	address := a.env("NOTIFY_SOCKET")
	if address == "" {
		return n
	}
	conn, err := net.Dial("unixgram", address) // a leading @ is the abstract namespace, as net takes it
	if err != nil {
		return n
	}
	n.conn = conn
	if usec, err := strconv.ParseInt(a.env("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		n.every = time.Duration(usec) * time.Microsecond / 3
	}
	return n
}

func (n *notifier) ready(status string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up, n.status = true, status
	n.send("READY=1\nSTATUS=" + status)
}

// alive pings the watchdog, a third of its time after the last ping, and tells a new
// status.
func (n *notifier) alive(status func() string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		return
	}
	if now := n.app.Now(); n.every > 0 && now.Sub(n.last) >= n.every {
		n.last = now
		n.send("WATCHDOG=1")
	}
	if text := status(); n.up && text != n.status {
		n.status = text
		n.send("STATUS=" + text)
	}
}

func (n *notifier) stopping() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.send("STOPPING=1")
}

func (n *notifier) send(text string) {
	if n.conn != nil {
		_, _ = n.conn.Write([]byte(text)) // nobody listens any more
	}
}

func (n *notifier) close() {
	if n.conn != nil {
		_ = n.conn.Close()
	}
}
