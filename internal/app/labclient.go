package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"rekey"
	"rekey/internal/lab"
)

// labClient speaks the lab's management API.
type labClient struct {
	base  string
	token string
	http  *http.Client
}

// withLab calls do with the lab in dir: the running one named by its lab.json, else
// one that is opened for this order alone.
func (a *App) withLab(ctx context.Context, dir string, do func(*labClient) error) error {
	exists, err := labIn(dir)
	if err != nil {
		return err
	}
	if !exists {
		return rekey.Errorf(rekey.KindNotFound, "there is no lab in %s", dir).WithHint("start one with `rekey lab up --data %s`, or name its directory with --data", dir)
	}
	info, known, err := labInfo(dir)
	if err != nil {
		return err
	}
	server, err := lab.OpenRehearsal(ctx, lab.Options{Dir: dir, Now: a.Now, URL: info.URL})
	if rekey.KindOf(err) == rekey.KindConflict && known { // a process has it open
		return do(newLabClient(base(info), info.AdminToken))
	}
	if err != nil {
		return err
	}
	return offline(ctx, server, do)
}

// base is where the lab answers this machine.
func base(info lab.Info) string {
	if info.Address != "" {
		return "http://" + info.Address
	}
	return info.URL
}

// withRunningLab is withLab for orders that a stopped lab would not remember.
func (a *App) withRunningLab(ctx context.Context, dir string, do func(*labClient) error) error {
	return a.withLab(ctx, dir, func(c *labClient) error {
		if c.http.Transport.(*http.Transport).DialContext != nil {
			return rekey.Errorf(rekey.KindUnavailable, "the lab in %s is not running, and a stopped one keeps no faults", dir).
				WithHint("start it with `rekey lab up --data %s`", dir)
		}
		return do(c)
	})
}

func newLabClient(base, token string) *labClient {
	return &labClient{base: base, token: token, http: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 8}, // no proxy: the token is for this machine's lab
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// offline serves a stopped lab to do alone, on a pipe that nobody else can reach.
func offline(ctx context.Context, server *lab.Rehearsal, do func(*labClient) error) (err error) {
	defer func() { err = errors.Join(err, server.Close()) }()
	info, err := server.Info()
	if err != nil {
		return err
	}
	pipe := newPipeListener()
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, pipe) }()
	defer func() {
		stop()
		<-served
	}()
	c := newLabClient("http://lab.invalid", info.AdminToken)
	c.http.Transport.(*http.Transport).DialContext = pipe.dial
	defer c.http.CloseIdleConnections()
	return do(c)
}

// labInfo reads DIR/lab.json, which is there once a lab has served.
func labInfo(dir string) (lab.Info, bool, error) {
	var info lab.Info
	raw, err := os.ReadFile(filepath.Join(dir, "lab.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return info, false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		return info, false, rekey.Errorf(rekey.KindInvalid, "the lab's lab.json cannot be read: %w", err).WithHint("`rekey lab up` writes it anew")
	}
	return info, true, nil
}

// order sends one order to the management API and decodes its answer.
func (c *labClient) order(ctx context.Context, method, path string, in, out any) error {
	return c.call(ctx, method, "/-/rekey-lab"+path, http.StatusOK, in, out)
}

func (c *labClient) call(ctx context.Context, method, path string, want int, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return rekey.Errorf(rekey.KindInternal, "encode an order: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return rekey.Errorf(rekey.KindInvalid, "the address in lab.json cannot be used: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Private-Token", c.token)
	response, err := c.http.Do(req)
	if err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "the lab does not answer: %w", err).WithHint("lab.json may be of an earlier run: restart `rekey lab up`")
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "the lab's answer broke off: %w", err)
	}
	if response.StatusCode != want {
		return labRefusal(response.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "the answer is not a lab's").WithHint("lab.json may be of an earlier run: restart `rekey lab up`")
	}
	return nil
}

var labKinds = map[int]rekey.Kind{
	http.StatusBadRequest: rekey.KindInvalid, http.StatusUnauthorized: rekey.KindDenied, http.StatusForbidden: rekey.KindDenied,
	http.StatusNotFound: rekey.KindNotFound, http.StatusConflict: rekey.KindConflict, http.StatusServiceUnavailable: rekey.KindUnavailable,
}

func labRefusal(status int, raw []byte) error {
	var said lab.ManageError
	if json.Unmarshal(raw, &said) != nil || said.Message == "" {
		said.Message = "the lab answered " + http.StatusText(status)
	}
	kind, known := labKinds[status]
	if !known {
		kind = rekey.KindUnavailable
	}
	return rekey.Errorf(kind, "%s", said.Message).WithHint("%s", said.Hint)
}

// pipeListener is a listener inside this process.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}

func (p *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Close() error {
	close(p.done)
	return nil
}

func (p *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "lab", Net: "pipe"} }
