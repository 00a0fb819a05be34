package ssh_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Without flock each directory's lock is one of its own, and ends by itself.
func TestLocksOfSeveralDirectoriesWithoutFlock(t *testing.T) {
	t.Parallel()
	const bare = "unshare -rm sh -c 'mount --bind /dev/null /usr/bin/flock && "
	if exec.Command("sh", "-c", bare+"true'").Run() != nil {
		t.Skip("*** NOTHING CAN BE MOUNTED HERE: a host without flock is not tested ***")
	}
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inShell(t, shell, `ForceCommand exec `+bare+`eval "$SSH_ORIGINAL_COMMAND"'`)
			one, other := write(t, filepath.Join(t.TempDir(), "config.toml"), before), write(t, filepath.Join(t.TempDir(), "config.toml"), before)
			there := func(config string) bool {
				_, err := os.Stat(filepath.Join(filepath.Dir(config), ".rekey.lock"))
				return err == nil
			}
			h := change(t, s)
			unlock, err := h.Lock(one)
			if err != nil {
				t.Fatal(err)
			}
			locked(t, h, other)
			if !there(one) || !there(other) {
				t.Errorf("locked: got %t and %t, want both", there(one), there(other))
			}
			unlock()
			if there(one) || !there(other) {
				t.Errorf("one is unlocked: got %t and %t, want the other alone", there(one), there(other))
			}
			locked(t, h, one)
			h.Close() // as a connection that breaks off
			until(t, func() bool { return !there(one) && !there(other) })
		})
	}
}
