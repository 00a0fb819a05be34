package cli_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"rekey/internal/host/ssh/sshtest"
)

// cmdSSHD starts a real sshd. From then on the script's own ssh knows it as runner1
// and runner2; $SSHD_PORT is its port and $SSHD_HOME the home of who logs in.
func cmdSSHD(ts *testscript.TestScript, _ bool, args []string) {
	s := sshtest.Start(worldOf(ts).t, append(args, alone()...)...)
	ts.Setenv("PATH", filepath.Dir(s.Program)+string(filepath.ListSeparator)+ts.Getenv("PATH"))
	ts.Setenv("SSHD_PORT", s.Port)
	ts.Setenv("SSHD_USER", s.User)
	ts.Setenv("SSHD_HOME", s.Home)
}

// alone gives each login processes of its own where that can be had: a gitlab-runner
// that happens to run on this machine is none of the script's.
func alone() []string {
	for _, unshare := range []string{"unshare -pf --mount-proc", "unshare -rpf --mount-proc"} {
		if exec.Command("sh", "-c", unshare+" true").Run() == nil {
			return []string{"ForceCommand exec " + unshare + ` sh -c "$SSH_ORIGINAL_COMMAND"`}
		}
	}
	return nil
}

// cmdSilent listens and never answers, on $NAME_PORT.
func cmdSilent(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0]+"_PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
