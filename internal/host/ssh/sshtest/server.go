// Package sshtest runs a real sshd for tests: on a loopback port, with keys and
// configuration of its own in a directory of the test. It owns that server and
// the client's side of it, and refuses to touch the machine's own.
package sshtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// Server is one sshd. Logins are those of the user who runs the test.
type Server struct {
	Dir     string // of its files; Dir/bin comes first in PATH there
	Home    string // of the logins
	Port    string
	User    string
	Program string // a client that knows the server: ssh with a configuration of its own

	known string
}

// Start runs an sshd with further lines of configuration until the test ends.
// Without OpenSSH the test is skipped, and fails where CI is set.
func Start(t testing.TB, lines ...string) *Server {
	t.Helper()
	program := sshd(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Dir: t.TempDir(), User: me.Username}
	if me.Uid == "0" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's own, which its package makes at boot
			t.Fatal(err)
		}
	}
	for _, dir := range []string{s.Dir, filepath.Dir(s.Dir)} { // logins with fewer rights pass through
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.key(t, "host")
	s.key(t, "user")
	s.file(t, "authorized_keys", s.read(t, "user.pub"))
	s.Home = filepath.Join(s.Dir, "home")
	for _, dir := range []string{filepath.Join(s.Dir, "bin"), s.Home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for attempt := 0; !s.run(t, program, lines); attempt++ {
		if attempt == 5 {
			t.Fatal("sshd finds no free port")
		}
	}
	s.known = fmt.Sprintf("[127.0.0.1]:%s %s", s.Port, s.read(t, "host.pub"))
	s.file(t, "known_hosts", s.known)
	s.client(t)
	return s
}

func sshd(t testing.TB) string {
	for _, program := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(program); err == nil {
			return program
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("sshd is not there; .ci/run installs openssh-server")
	}
	t.Skip("sshd is not there: NOTHING of ssh:// is tried; install openssh-server")
	return ""
}

func (s *Server) key(t testing.TB, name string) {
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.Dir, name)).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

// run starts sshd on a free port; false when another took the port first.
func (s *Server) run(t testing.TB, program string, lines []string) bool {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.Port, _ = net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.file(t, "sshd_config", strings.Join(append(lines,
		"ListenAddress 127.0.0.1:"+s.Port, "HostKey "+filepath.Join(s.Dir, "host"), "AuthorizedKeysFile "+filepath.Join(s.Dir, "authorized_keys"),
		"PidFile none", "StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes",
		"PrintMotd no", "MaxStartups 100", "SetEnv PATH="+filepath.Join(s.Dir, "bin")+":/usr/local/bin:/usr/bin:/bin HOME="+s.Home), "\n")+"\n")
	cmd := exec.Command(program, "-D", "-e", "-f", filepath.Join(s.Dir, "sshd_config"))
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lineOf := bufio.NewReader(said)
	for {
		line, err := lineOf.ReadString('\n')
		switch {
		case strings.Contains(line, "Server listening"):
			drained := make(chan struct{})
			go func() { defer close(drained); _, _ = io.Copy(io.Discard, lineOf) }()
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = said.Close()
				<-drained
				_ = cmd.Wait()
			})
			return true
		case err != nil:
			_ = cmd.Wait()
			return false
		case strings.Contains(line, "in use"):
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return false
		case strings.Contains(line, "fatal"), strings.Contains(line, "Bad configuration"):
			t.Fatalf("sshd: %s", line)
		}
	}
}

// client writes a program "ssh" that has the server's key, the user's key and the
// aliases runner1 to runner3, as somebody's ~/.ssh/config would.
func (s *Server) client(t testing.TB) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(errors.Join(errors.New("ssh-keygen is there and ssh is not"), err))
	}
	s.file(t, "ssh_config", fmt.Sprintf(`Host runner1 runner2 runner3
  HostName 127.0.0.1
  Port %s
  User %s
Host *
  IdentityFile %s
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile %s
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
`, s.Port, s.User, filepath.Join(s.Dir, "user"), filepath.Join(s.Dir, "known_hosts")))
	s.Program = filepath.Join(s.Dir, "client", "ssh")
	if err := os.Mkdir(filepath.Dir(s.Program), 0o755); err != nil {
		t.Fatal(err)
	}
	s.script(t, s.Program, fmt.Sprintf("exec %s -F %s \"$@\"", ssh, filepath.Join(s.Dir, "ssh_config")))
}

// Tool puts a program of that name before all others on the host.
func (s *Server) Tool(t testing.TB, name, script string) {
	t.Helper()
	s.script(t, filepath.Join(s.Dir, "bin", name), script)
}

// KnownAs replaces what the client knows of the server's key; "" for nothing.
func (s *Server) KnownAs(t testing.TB, keyFile string) {
	t.Helper()
	if keyFile == "" {
		s.file(t, "known_hosts", "")
		return
	}
	s.file(t, "known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s", s.Port, s.read(t, keyFile)))
}

func (s *Server) script(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) file(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
