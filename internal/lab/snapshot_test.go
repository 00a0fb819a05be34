package lab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"rekey/internal/lab"
)

// TestRestore: runners made after the snapshot vanish, rotated tokens revert, and
// the version is that of the snapshot.
func TestRestore(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	kept, rotated := r.create(), r.create()
	var taken lab.Snapshot
	r.must(200, "POST", "/-/rekey-lab/snapshots", m{"name": "before"}, &taken)
	if taken.Version != "17.11.0" || taken.Bytes == 0 {
		t.Errorf("snapshot: got %+v", taken)
	}
	var fresh issued
	r.must(201, "POST", fmt.Sprintf("/api/v4/runners/%d/reset_authentication_token", rotated.ID), nil, &fresh)
	late := r.create()
	r.must(204, "DELETE", fmt.Sprintf("/api/v4/runners/%d", kept.ID), nil, nil)
	r.must(200, "POST", "/-/rekey-lab/upgrade", m{"version": "18.11"}, nil)
	r.wantVerify("the rotated token", fresh.Token, 200)

	r.must(200, "POST", "/-/rekey-lab/snapshots/before/restore", m{}, nil)
	r.wantVerify("the runner deleted since", kept.Token, 200)
	r.wantVerify("the token from before the rotation", rotated.Token, 200)
	r.wantVerify("the token from after it", fresh.Token, 403)
	r.wantVerify("the runner made since", late.Token, 403)
	var served struct{ Version string }
	r.must(200, "GET", "/api/v4/version", nil, &served)
	if served.Version != "17.11.0" || readInfo(t, r.dir).Version != "17.11.0" {
		t.Errorf("version: got %s, want the snapshot's", served.Version)
	}
	if again := r.create(); again.ID != late.ID {
		t.Errorf("the next record: got id %d, want %d once more", again.ID, late.ID)
	}
	r.stop()
	restarted := startRehearsal(t, r.dir, "", "")
	restarted.wantVerify("the reverted token after a restart", rotated.Token, 200)
}

// TestSnapshotUnderLoad: what a snapshot holds is one state of the database, with
// everything acknowledged before it was asked for.
func TestSnapshotUnderLoad(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	var mu sync.Mutex
	var made []issued
	end := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				one := r.create()
				mu.Lock()
				made = append(made, one)
				mu.Unlock()
			}
		})
	}
	acknowledged := func() []issued {
		mu.Lock()
		defer mu.Unlock()
		return append([]issued(nil), made...)
	}
	for len(acknowledged()) < 20 {
		r.create()
	}
	var before, after []issued
	for i := range 3 {
		before = acknowledged()
		r.must(200, "POST", "/-/rekey-lab/snapshots", m{"name": fmt.Sprintf("load-%d", i)}, nil)
		after = acknowledged()
	}
	close(end)
	load.Wait()
	all := acknowledged()
	r.must(200, "POST", "/-/rekey-lab/snapshots/load-2/restore", m{}, nil)
	for _, one := range before {
		r.wantVerify(fmt.Sprintf("runner %d, made before the snapshot", one.ID), one.Token, 200)
	}
	highest := int64(0)
	for _, one := range after {
		highest = max(highest, one.ID)
	}
	for _, one := range all {
		if one.ID > highest+8 { // beyond what can have been under way
			r.wantVerify(fmt.Sprintf("runner %d, made after the snapshot", one.ID), one.Token, 403)
		}
	}
}

func TestSnapshotNames(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	for name, status := range map[string]int{"": 400, "../up": 400, ".hidden": 400, "a/b": 400, "fine-1.0_x": 200} {
		if got, _, text, err := r.try("POST", "/-/rekey-lab/snapshots", r.admin(), m{"name": name}); got != status {
			t.Errorf("snapshot %q: got %d %s %v, want %d", name, got, text, err, status)
		}
	}
	r.must(409, "POST", "/-/rekey-lab/snapshots", m{"name": "fine-1.0_x"}, nil)
	r.must(404, "POST", "/-/rekey-lab/snapshots/none/restore", m{}, nil)
	var list lab.SnapshotList
	r.must(200, "GET", "/-/rekey-lab/snapshots", nil, &list)
	if len(list.Snapshots) != 1 || list.Snapshots[0].Name != "fine-1.0_x" {
		t.Errorf("list: got %+v", list)
	}
	// A damaged snapshot is refused before anything is lost.
	kept := r.create()
	path := filepath.Join(r.dir, "snapshots", "fine-1.0_x", "lab.sqlite")
	if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.must(400, "POST", "/-/rekey-lab/snapshots/fine-1.0_x/restore", m{}, nil)
	r.wantVerify("a runner of the lab that was not restored", kept.Token, 200)
	r.must(200, "DELETE", "/-/rekey-lab/snapshots/fine-1.0_x", nil, nil)
	r.must(404, "DELETE", "/-/rekey-lab/snapshots/fine-1.0_x", nil, nil)
	left, err := filepath.Glob(filepath.Join(r.dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if info, err := os.Stat(filepath.Join(r.dir, "snapshots")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the snapshots: %v %v, want 0700", info.Mode(), err)
	}
}
