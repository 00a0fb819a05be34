package ssh

import (
	"bufio"
	"bytes"
	"context"
	_ "embed" // the script
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rekey"
)

//go:embed read.sh
var reading string

//go:embed change.sh
var changing string

//go:embed serve.sh
var serving string

const (
	greeting      = "rekey reads" // the script's first line
	mostNoise     = 256 << 10     // that a login may print before it
	mostFacts     = 100_000
	mostLine      = 64 << 10
	mostComplaint = 16 << 10
	parting       = 2 * time.Second // that the script has to end when nothing more is asked
)

// session is a connection on which one question is under way at a time.
type session struct {
	target Target
	bound  time.Duration // of one question, 0 for none
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.ReadCloser
	lines  *bufio.Reader
	said   *complaint
	unhook func() bool
	late   atomic.Bool // it was ended because nothing came

	mu   sync.Mutex
	dead error
}

// arguments are ssh's own. Whatever asks is answered with no: nobody sits there
// for each of a hundred hosts.
func (t Target) arguments(wait time.Duration, script string) []string {
	args := []string{"-T", "-x", "-o", "BatchMode=yes", "-o", fmt.Sprintf("ConnectTimeout=%d", max(1, int(wait.Seconds()))),
		"-o", "ConnectionAttempts=1", "-o", "ControlMaster=no", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"}
	if t.Port != 0 {
		args = append(args, "-p", strconv.Itoa(t.Port))
	}
	if t.Key != "" {
		args = append(args, "-i", t.Key)
	}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	// What the host's login shell has to understand is this one constant word list;
	// the script itself comes on standard input, read byte by byte so that what
	// follows it stays there.
	command := fmt.Sprintf(`sh -c 'eval "$(dd bs=1 count=%d 2>/dev/null)"'`, len(script))
	if t.Become {
		command = "sudo -n -H " + command
	}
	return append(args, "--", t.Host, command)
}

// dial starts ssh and waits for the script's greeting. The connection ends with
// ctx.
func dial(ctx context.Context, t Target, o Options) (*session, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if o.Program == "" {
		o.Program = "ssh"
	}
	program, err := exec.LookPath(o.Program)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "the program ssh is not there").WithHint("install OpenSSH's client, or run rekey on the host itself")
	}
	s := &session{target: t, bound: o.Answer, said: &complaint{}}
	script := reading + serving
	if o.Change {
		script = reading + changing + serving
	}
	s.cmd = exec.CommandContext(ctx, program, t.arguments(o.Wait, script)...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = time.Second
	if o.Change {
		detach(s.cmd)
	}
	s.cmd.Stderr = s.said
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if s.out, err = s.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "ssh cannot be run: %w", err)
	}
	s.unhook = context.AfterFunc(ctx, func() { _ = s.out.Close() }) // a child of ssh may hold the other end
	s.lines = bufio.NewReaderSize(s.out, mostLine)
	if err := s.greet(script); err != nil {
		ended := s.close()
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		return nil, s.failure(ended)
	}
	return s, nil
}

// greet sends the script and passes over what a login prints by itself.
func (s *session) greet(script string) error {
	defer s.hurry()()
	if _, err := io.WriteString(s.in, script); err != nil {
		return err
	}
	for read := 0; read < mostNoise; {
		line, err := s.lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if string(bytes.TrimSpace(line)) == greeting {
			return nil
		}
		read += len(line)
		_, _ = s.said.Write(line) // it may say why no script is run
	}
	return errors.New("no greeting")
}

// close ends the connection and returns how ssh ended.
func (s *session) close() error {
	_ = s.in.Close()
	_ = s.out.Close()
	s.unhook()
	late := time.AfterFunc(parting, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	return s.cmd.Wait()
}

// answer is what the script says to one question.
type answer struct {
	facts    map[string]string // by the first word of the line
	marks    map[string]bool   // of lines "is WORD"
	obstacle string
	data     []byte
}

// ask puts one question and calls record for each line of facts in their order,
// with the data that preceded it; nil ignores them. limit bounds the data.
func (s *session) ask(name string, limit int, path string, record func(key, value string, before []byte)) (answer, error) {
	return s.order(question{name: name, limit: limit, path: path, record: record})
}

// question is one line to the script, and what follows it.
type question struct {
	name   string
	limit  int // of the answer's data; or a number that the question is about
	path   string
	words  string // further words, which a shell takes as they are
	data   []byte // behind the line
	record func(key, value string, before []byte)
}

// hurry ends the connection when nothing has come within the bound; what it returns
// is called when something has.
func (s *session) hurry() (done func()) {
	if s.bound <= 0 {
		return func() {}
	}
	timer := time.AfterFunc(s.bound, func() {
		s.late.Store(true)
		_ = s.out.Close()
		_ = s.cmd.Process.Kill()
	})
	return func() { timer.Stop() }
}

// order is ask with everything that a question may have.
func (s *session) order(q question) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead != nil {
		return answer{}, s.dead
	}
	defer s.hurry()()
	a, err := s.exchange(q)
	if err != nil && s.late.Load() {
		err = fmt.Errorf("nothing came within %s", s.bound)
	}
	if err != nil {
		s.dead = rekey.Errorf(rekey.KindUnavailable, "the connection broke off: %w", err).WithHint("try it: %s", s.target.command())
		return a, s.dead
	}
	return a, nil
}

func (s *session) exchange(q question) (answer, error) {
	a := answer{facts: map[string]string{}, marks: map[string]bool{}}
	limit, record := q.limit, q.record
	if _, err := fmt.Fprintf(s.in, "%s %d %s %s\n", q.name, limit, octal(q.path), q.words); err != nil {
		return a, err
	}
	if _, err := s.in.Write(q.data); err != nil && len(q.data) == 0 { // of what it did not take, the answer tells
		return a, err
	}
	for told := 0; ; {
		line, err := s.lines.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == ".":
			return a, nil
		case strings.HasPrefix(text, " "):
			if a.data, err = unhex(a.data, text); err != nil {
				return a, err
			}
			if len(a.data) > limit+mostLine {
				return a, errFlood
			}
			continue
		}
		if told++; told > mostFacts {
			return a, errFlood
		}
		key, value, _ := strings.Cut(text, " ")
		if record != nil {
			record(key, value, a.data)
			a.data = nil
		}
		switch key {
		case "!":
			a.obstacle = value
		case "is":
			a.marks[value] = true
		default:
			a.facts[key] = value
		}
	}
}

var errFlood = errors.New("the host sends more than it was asked for")

// octal writes a path so that no shell sees a character of it before printf does.
func octal(path string) string {
	if path == "" {
		return "-"
	}
	var b strings.Builder
	for i := range len(path) {
		fmt.Fprintf(&b, `\0%03o`, path[i])
	}
	return b.String()
}

func unhex(data []byte, text string) ([]byte, error) {
	digits := make([]byte, 0, 64)
	for i := range len(text) {
		if text[i] != ' ' {
			digits = append(digits, text[i])
		}
	}
	return hex.AppendDecode(data, digits)
}

// said decodes a fact that came in hexadecimal.
func (a answer) said(key string) string {
	data, err := unhex(nil, a.facts[key])
	if err != nil {
		return ""
	}
	return string(data)
}

// complaint keeps the beginning of what ssh writes on standard error.
type complaint struct {
	mu   sync.Mutex
	text []byte
}

// Write never fails: what is too much is dropped.
func (c *complaint) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p[:min(len(p), mostComplaint-len(c.text))]...)
	return len(p), nil
}

func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}
