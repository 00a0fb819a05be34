package cli_test

import (
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdEventually runs a program until it ends with 0, as what an agent does in the
// background takes its time.
func cmdEventually(ts *testscript.TestScript, _ bool, args []string) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(40 * time.Second)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			ts.Fatalf("%s never came true: %v", strings.Join(args, " "), err)
		}
	}
}
