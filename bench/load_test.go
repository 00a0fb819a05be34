package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// wire is one kept-alive connection that writes requests made beforehand and reads
// no more of an answer than its length needs: the load must cost less than what it
// loads.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

func newLineReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 1024) }

func dial(base string) (*wire, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return &wire{conn, newLineReader(conn)}, nil
}

// reply is an answer without what nobody asked for.
type reply struct {
	status     int
	lastUpdate string
	body       []byte
}

func (w *wire) do(request []byte) (reply, error) {
	var got reply
	if _, err := w.conn.Write(request); err != nil {
		return got, err
	}
	line, err := w.in.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return got, fmt.Errorf("status line %q: %w", line, err)
	}
	if got.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return got, err
	}
	length := 0
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return got, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := strings.Cut(string(line), ":")
		switch {
		case strings.EqualFold(name, "Content-Length"):
			length, err = strconv.Atoi(strings.TrimSpace(value))
		case strings.EqualFold(name, "X-Gitlab-Last-Update"):
			got.lastUpdate = strings.TrimSpace(value)
		case strings.EqualFold(name, "Transfer-Encoding"):
			err = fmt.Errorf("an answer of unknown length: %s", value)
		}
		if err != nil {
			return got, err
		}
	}
	got.body = make([]byte, length)
	_, err = io.ReadFull(w.in, got.body)
	return got, err
}

// post is a whole request. The headers are gitlab-runner's.
func post(path, header string, body any) []byte {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // of what this package wrote itself
	}
	return fmt.Appendf(nil, "POST /api/v4/%s HTTP/1.1\r\nHost: gitlab.example.com\r\nUser-Agent: gitlab-runner 17.11.0 (17-11-stable; go1.23.6; linux/amd64)\r\n"+
		"Accept: application/json\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", path, header, len(raw), raw)
}

// info is what gitlab-runner 17.11 with the shell executor tells of itself.
var info = map[string]any{
	"name": "gitlab-runner", "version": "17.11.0", "revision": "0f67ff19", "platform": "linux", "architecture": "amd64", "executor": "shell", "shell": "bash",
	"features": map[string]bool{"variables": true, "image": false, "services": false, "artifacts": true, "cache": true, "fallback_cache_keys": true, "shared": true,
		"upload_multiple_artifacts": true, "upload_raw_artifacts": true, "session": true, "terminal": true, "refspecs": true, "masking": true, "proxy": false,
		"raw_variables": true, "artifacts_exclude": true, "multi_build_steps": true, "trace_reset": true, "trace_checksum": true, "trace_size": true,
		"vault_secrets": true, "cancelable": true, "return_exit_code": true, "service_variables": false, "service_multiple_aliases": false, "cancel_gracefully": true},
	"config": map[string]string{"gpus": ""},
}

// each calls do for 0 to n-1 from some connections to base, and ends the
// benchmark at the first error.
func each(b *testing.B, base string, connections, n int, do func(w *wire, i int) error) {
	b.Helper()
	var all sync.WaitGroup
	errs := make(chan error, connections)
	for first := range connections {
		all.Go(func() {
			w, err := dial(base)
			if err != nil {
				errs <- err
				return
			}
			defer func() { _ = w.conn.Close() }()
			for i := first; i < n; i += connections {
				if err := do(w, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		b.Fatal(err)
	}
}

// create makes a record with POST /user/runners and returns its token.
func (l *labProcess) create(w *wire) (string, error) {
	return issued(w, post("user/runners", "Private-Token: "+l.Admin+"\r\n", map[string]any{"runner_type": "instance_type", "tag_list": "bench", "description": "bench"}))
}

// register makes one with POST /runners.
func (l *labProcess) register(w *wire) (string, error) {
	return issued(w, post("runners", "", map[string]any{"token": l.Register["instance"], "info": info, "tag_list": "bench", "description": "bench"}))
}

func issued(w *wire, request []byte) (string, error) {
	got, err := w.do(request)
	if err != nil {
		return "", err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(got.body, &made); err != nil || got.status != 201 || made.Token == "" {
		return "", fmt.Errorf("no runner was made: %d", got.status)
	}
	return made.Token, nil
}

// records makes n records.
func (l *labProcess) records(b *testing.B, n int) []string {
	b.Helper()
	tokens := make([]string, n)
	each(b, l.URL, connections, n, func(w *wire, i int) (err error) {
		tokens[i], err = l.create(w)
		return err
	})
	return tokens
}

// poll is POST /jobs/request of the i-th manager; lastUpdate is "" before the
// first answer.
func poll(token string, i int, lastUpdate string) []byte {
	body := map[string]any{"token": token, "system_id": fmt.Sprintf("s_%012d", i), "info": info}
	if lastUpdate != "" {
		body["last_update"] = lastUpdate
	}
	return post("jobs/request", "Runner-Token: "+token+"\r\n", body)
}

// polls lets every runner poll until its last_update stands, and returns the
// request that each repeats from then on.
func (l *labProcess) polls(b *testing.B, tokens []string) [][]byte {
	b.Helper()
	made := make([][]byte, len(tokens))
	each(b, l.URL, connections, len(tokens), func(w *wire, i int) error {
		got, err := w.do(poll(tokens[i], i, ""))
		if err == nil && (got.status != 204 || got.lastUpdate == "") {
			err = fmt.Errorf("first poll: got %d with last_update %q, want 204 with one", got.status, got.lastUpdate)
		}
		made[i] = poll(tokens[i], i, got.lastUpdate)
		return err
	})
	return made
}
