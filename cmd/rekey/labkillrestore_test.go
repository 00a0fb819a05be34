package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// manage sends an order to the management API.
func (l *servedLab) manage(path string, body any) labAnswer {
	return l.call("POST", "/-/rekey-lab/"+path, l.admin, nil, body)
}

// TestLabKilledWhileRestoring: kill -9 in the middle of a restore, a loss of
// secrets, an upgrade or a snapshot leaves a lab that starts and is as before the
// order or as after it, with nothing of it left behind.
func TestLabKilledWhileRestoring(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lab")
	l := serveLab(t, dir, "--gitlab-version", "16.11", "--profile", "self-managed")
	create := func() (one made) {
		got := l.call("POST", "user/runners", l.admin, nil, map[string]any{"runner_type": "instance_type"})
		if got.status != http.StatusCreated {
			t.Fatalf("create: got %d %s, want 201", got.status, got.body)
		}
		must(t, json.Unmarshal([]byte(got.body), &one))
		return one
	}
	verify := func(one made) int {
		return l.call("POST", "runners/verify", "", nil, map[string]any{"token": one.Token}).status
	}
	old := create()
	if got := l.manage("snapshots", map[string]any{"name": "before"}); got.status != http.StatusOK {
		t.Fatalf("snapshot: got %d %s", got.status, got.body)
	}
	orders := []struct {
		path string
		body any
	}{{"snapshots/before/restore", map[string]any{"secrets": true}}, {"upgrade", map[string]any{"version": "17.11"}}, {"lose_secrets", nil}, {"snapshots", nil}}
	ended := 0
	for attempt := range 16 {
		order := orders[attempt%len(orders)]
		if order.path == "snapshots" {
			order.body = map[string]any{"name": fmt.Sprintf("during-%d", attempt)}
		}
		late := create()
		done := make(chan labAnswer, 1)
		go func() { done <- l.manage(order.path, order.body) }()
		// Not a wait for something: where in the order the kill falls is the test's variable.
		timer := time.NewTimer(time.Duration(attempt) * 4 * time.Millisecond)
		select {
		case <-timer.C:
		case got := <-done:
			done <- got
		}
		l.kill()
		if got := <-done; got.ok {
			ended++
		}
		l = serveLab(t, dir)
		was := verify(old)
		if was != http.StatusOK && was != http.StatusForbidden || was == http.StatusForbidden && order.path != "lose_secrets" {
			t.Errorf("%s, killed after %d ms: the old runner verifies with %d", order.path, attempt*4, was)
		}
		if is := verify(late); is != was && !strings.HasPrefix(order.path, "snapshots/") {
			t.Errorf("%s, killed after %d ms: the late runner verifies with %d, the old one with %d", order.path, attempt*4, is, was)
		}
		for _, pattern := range []string{".restoring-*", ".lab-*", "snapshots/.taking-*"} {
			if left, _ := filepath.Glob(filepath.Join(dir, pattern)); len(left) > 0 {
				t.Errorf("%s, killed after %d ms: left behind %v", order.path, attempt*4, left)
			}
		}
		if got := l.manage("snapshots/before/restore", map[string]any{"secrets": true}); got.status != http.StatusOK {
			t.Fatalf("restore: got %d %s", got.status, got.body)
		}
		if got := verify(old); got != http.StatusOK {
			t.Fatalf("after a whole restore the old runner verifies with %d", got)
		}
	}
	fmt.Printf("lab killed in 16 orders, %d of which had been answered\n", ended)
	l.kill()
}
