package gitlab

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"rekey"
)

const (
	// bodyLimit is how much of an answer is read: GitLab's own are far smaller,
	// a middlebox may send anything.
	bodyLimit = 64 << 10
	// defaultTimeout bounds one request.
	defaultTimeout = 15 * time.Second
)

// Options are what Prober and Client have in common, and what only a Client
// needs.
type Options struct {
	URL   string      // Client: the GitLab the token was given for; see HostURL
	Token rekey.Token // Client: the user's token

	CAFile    string           // PEM of CAs trusted beside the system's
	PEM       PEM              // Client: CAs and a client certificate by content, beside CAFile
	Timeout   time.Duration    // of one request; 0 is 15 s
	Patience  time.Duration    // Client: of GitLab's silence in one question, its pauses and repetitions included; 0: no limit but the caller's
	UserAgent string           // "rekey/<version>"
	Budgets   *Budgets         // shared by all that talk to one GitLab; nil: no limit of our own
	Now       func() time.Time // the clock; required
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.UserAgent == "" {
		o.UserAgent = "rekey"
	}
	if o.Budgets == nil {
		o.Budgets = NewBudgets(0, o.Now)
	}
	return o
}

// tlsFiles are the TLS files of one section, by name or by what they hold.
type tlsFiles struct {
	ca, cert, key string
	pem           PEM
}

// pair loads the client certificate, if there is one.
func (f tlsFiles) pair() (pair tls.Certificate, ok bool, err error) {
	switch {
	case f.pem.Cert != "" && !f.pem.Key.IsZero():
		if pair, err = tls.X509KeyPair([]byte(f.pem.Cert), []byte(f.pem.Key.Reveal())); err != nil {
			return pair, false, fmt.Errorf("the client certificate of the section cannot be loaded: %w", err)
		}
	case f.cert != "" && f.key != "":
		if pair, err = tls.LoadX509KeyPair(f.cert, f.key); err != nil {
			return pair, false, fmt.Errorf("the client certificate %s cannot be loaded: %w", f.cert, err)
		}
	default:
		return pair, false, nil
	}
	return pair, true, nil
}

// newHTTPClient follows no redirect: the credential of a request belongs to its
// URL. Proxies come from the environment, as for gitlab-runner.
func newHTTPClient(files ...tlsFiles) (*http.Client, error) {
	config, err := tlsConfig(files)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       config,
			TLSHandshakeTimeout:   10 * time.Second,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          512,
			MaxIdleConnsPerHost:   256,
			IdleConnTimeout:       60 * time.Second,
			ExpectContinueTimeout: time.Second,
		},
	}, nil
}

// tlsConfig adds CAs to the system's. A CA file that is not there is ignored, as
// gitlab-runner ignores it: the certificate error that may follow names it.
func tlsConfig(files []tlsFiles) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, f := range files {
		if err := addCAFile(config, f.ca); err != nil {
			return nil, err
		}
		if f.pem.CA != "" && !addCA(config, []byte(f.pem.CA)) {
			return nil, errors.New("the CA file of the section holds no certificate in PEM")
		}
		pair, ok, err := f.pair()
		if err != nil {
			return nil, err
		}
		if ok {
			config.Certificates = append(config.Certificates, pair)
		}
	}
	return config, nil
}

func addCAFile(config *tls.Config, file string) error {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the CA file cannot be read: %w", err)
	}
	if !addCA(config, pem) {
		return fmt.Errorf("the CA file %s holds no certificate in PEM", file)
	}
	return nil
}

func addCA(config *tls.Config, pem []byte) bool {
	if config.RootCAs == nil {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		config.RootCAs = pool
	}
	return config.RootCAs.AppendCertsFromPEM(pem)
}

// reply is an answer read as far as bodyLimit.
type reply struct {
	status int
	header http.Header
	body   []byte
	cut    error // the body broke off
	err    error // no answer
}

func (r *reply) statusText() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)))
}

// exchange sends one request and reads the answer.
func exchange(client *http.Client, req *http.Request) *reply {
	resp, err := client.Do(req)
	if err != nil {
		return &reply{err: err}
	}
	defer drain(resp.Body)
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	return &reply{status: resp.StatusCode, header: resp.Header, body: body, cut: err}
}

// drain reads a little more so that the connection can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, bodyLimit)
	_ = body.Close()
}

func newRequest(ctx context.Context, method, target, userAgent string, body []byte) (*http.Request, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// transportText says in words why there was no answer. It never holds the
// request's URL, headers or body.
func transportText(err error) string {
	var (
		unknownCA x509.UnknownAuthorityError
		hostname  x509.HostnameError
		badCert   x509.CertificateInvalidError
		dns       *net.DNSError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &unknownCA):
		return "the certificate is signed by an unknown authority; name its CA with --ca-file FILE, and for gitlab-runner with tls-ca-file in the section"
	case errors.As(err, &hostname):
		return "the certificate is for another host: " + hostname.Error()
	case errors.As(err, &badCert):
		return "the certificate is not valid: " + badCert.Error()
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "the proxy of the environment cannot be used: " + op.Err.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("the host %s has no address (DNS)", dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("the host %s could not be looked up (DNS): %s", dns.Name, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused: nothing listens there"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer within the time given"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed before an answer came"
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return "the server speaks plain HTTP; the URL says https"
	}
	return err.Error()
}
