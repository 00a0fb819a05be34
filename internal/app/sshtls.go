package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"

	"rekey"
	"rekey/internal/host/ssh"
	"rekey/internal/remedy"
)

// asking returns the probe, with the TLS files of a section on another host read
// there: a file of this machine that has the same name is another one.
func (f *farHosts) asking(ask remedy.Probe) remedy.Probe {
	return func(ctx context.Context, q remedy.Question) rekey.Answer {
		h, config := f.of(q.Config)
		if h == nil || q.Remote != nil {
			return ask(ctx, q)
		}
		err := h.again(func(c *ssh.Host) (err error) {
			q.Remote, err = tlsThere(c, config, q)
			return err
		})
		if err != nil {
			return rekey.Answer{Kind: rekey.AnswerUnreachable, Message: fmt.Sprintf("a TLS file that the section needs cannot be read on %s: %v", h.name, err), At: f.now()}
		}
		return ask(ctx, q)
	}
}

// tlsThere follows gitlab-runner: a CA file that is not there is ignored, and
// without one named it is certs/HOST.crt beside the config.
func tlsThere(c *ssh.Host, config string, q remedy.Question) (*remedy.RemoteTLS, error) {
	ca := q.TLS.CA
	if u, err := url.Parse(q.URL); ca == "" && err == nil && u.Scheme == "https" && u.Hostname() != "" {
		ca = path.Join(path.Dir(config), "certs", u.Hostname()+".crt")
	}
	var r remedy.RemoteTLS
	if ca != "" {
		data, err := c.ReadFile(ca)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		r.CA = string(data)
	}
	if q.TLS.Cert == "" || q.TLS.Key == "" {
		return &r, nil
	}
	cert, err := c.ReadFile(q.TLS.Cert)
	if err != nil {
		return nil, err
	}
	key, err := c.ReadFile(q.TLS.Key)
	if err != nil {
		return nil, err
	}
	r.Cert, r.Key = string(cert), rekey.NewToken(string(key))
	return &r, nil
}
