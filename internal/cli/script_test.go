// Package cli_test runs the scripts of testdata/script: the real main in processes
// of its own, against labs and against servers that misbehave to order. The
// commands that scripts have beside testscript's own are listed in scriptCommands.
package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rekey/internal/cli"
	"rekey/internal/lab/labtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rekey": func() { os.Exit(cli.Main(os.Args[1:], cli.Process())) },
	})
}

func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: setup, Cmds: scriptCommands(), Condition: condition,
	})
}

// scriptCommands are the actors of the scripts.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"lab":          cmdLab,          // lab NAME VERSION [PROFILE]: a lab; $NAME is its URL, $NAME_ADMIN its administrator's token
		"clock":        cmdClock,        // clock LAB DURATION: the lab's clock is so far ahead from here on
		"mkrunner":     cmdMkrunner,     // mkrunner LAB VAR SCOPE [OWNER [KEY=VALUE…]]: a record; $VAR is its token, $VAR_ID its id
		"fresh":        cmdFresh,        // fresh VAR: $VAR becomes the token in the answer that api printed last
		"labjson":      cmdLabjson,      // labjson FILE VAR: $VAR and $VAR_ADMIN of a lab that the script runs itself
		"mkgroup":      cmdMkgroup,      // mkgroup LAB VAR PATH: $VAR is its id
		"mkproject":    cmdMkproject,    // mkproject LAB VAR PATH [GROUPID]: $VAR is its id, $VAR_PATH its path
		"pat":          cmdPat,          // pat LAB VAR SCOPE…: $VAR is an administrator's token with these scopes only
		"api":          cmdAPI,          // api LAB STATUS METHOD PATH [KEY=VALUE…]: any request as administrator; KEY:=JSON
		"call":         cmdCall,         // call NAME TOKEN|- STATUS METHOD PATH [KEY=VALUE…]: a request to $NAME with any user token
		"issued":       cmdIssued,       // issued VAR: $VAR and $VAR_ID become token and id of what call printed last
		"labstate":     cmdLabstate,     // labstate LAB FILE: all that the lab tells of its runners
		"server":       cmdServer,       // server NAME STATUS BODYFILE|- [HEADER=VALUE…]: answers everything alike
		"dead":         cmdDead,         // dead NAME: accepts connections and never answers
		"sshd":         cmdSSHD,         // sshd [LINE…]: a real sshd; the script's ssh knows it as runner1 and runner2
		"silent":       cmdSilent,       // silent NAME: $NAME_PORT listens and never answers
		"closed":       cmdClosed,       // closed NAME: an address where nothing listens
		"tlsfront":     cmdTLSFront,     // tlsfront NAME LAB PEMFILE: the lab behind a certificate of an unknown CA
		"asked":        cmdAsked,        // asked SERVER COUNT|+ [PATTERN]: how many requests came that match
		"hold":         cmdHold,         // hold LAB PATTERN: requests that match wait until release
		"awaitask":     cmdAwaitask,     // awaitask LAB COUNT PATTERN: until so many such requests have come
		"release":      cmdRelease,      // release LAB
		"code":         cmdCode,         // code STATUS PROGRAM ARG…: runs it and looks at its exit status
		"awaitfile":    cmdAwaitfile,    // awaitfile FILE: until it is there
		"eventually":   cmdEventually,   // eventually PROGRAM ARG…: until it ends with 0
		"expand":       cmdExpand,       // expand FILE…: @NAME@ becomes the variable's value
		"manysections": cmdManySections, // manysections FILE COUNT: appends sections with tokens of nobody
		"described":    cmdDescribed,    // described FILE DOC: every field of the document is in docs/DOC, and no list is null
		"json":         cmdJSON,         // json FILE PATH VALUE: exactly one document, and a value in it; .len is a length
		"noleak":       cmdNoleak,       // noleak FILE…: no file, and nothing printed last, holds a token
		"scribble":     cmdScribble,     // scribble FILE: somebody else writes the file in a loop until unscribble
		"unscribble":   cmdUnscribble,
	}
}

type worldKey struct{}

// world is what one script has set up.
type world struct {
	t       testing.TB
	mu      sync.Mutex
	labs    map[string]*labtest.Lab
	servers map[string]*recorder
	ahead   map[string]*atomic.Int64 // how far a lab's clock is ahead, in nanoseconds
	secrets []string
	stop    func() // ends scribbling
}

func setup(env *testscript.Env) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		panic("testscript's T is no testing.TB any more")
	}
	env.Values[worldKey{}] = &world{t: t, labs: map[string]*labtest.Lab{}, servers: map[string]*recorder{}, ahead: map[string]*atomic.Int64{}}
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("REKEY_STATE_DIR", filepath.Join(env.WorkDir, "state"))
	env.Setenv("SYSTEM_ID", systemID)
	return nil
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// condition tells whether a script may mount: in a mount namespace of its own, so
// that nothing is left behind.
func condition(name string) (bool, error) {
	if name != "mount" {
		return false, os.ErrInvalid
	}
	return exec.Command("unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt").Run() == nil, nil
}
