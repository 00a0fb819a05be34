package lab_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rekey/internal/lab"
)

func (r *rehearsal) fault(order m) lab.Fault {
	r.t.Helper()
	var given lab.Fault
	r.must(200, "POST", "/-/rekey-lab/faults", order, &given)
	return given
}

// total is how many runner records there are.
func (r *rehearsal) total() string {
	r.t.Helper()
	return r.must(200, "GET", "/api/v4/runners/all?per_page=1", nil, nil).Get("X-Total")
}

// TestFaultStatus: the next n requests that match get the ordered answer and do
// nothing, the one after is GitLab's again, others never notice.
func TestFaultStatus(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	token := r.create().Token
	before := r.total()
	given := r.fault(m{"method": "post", "path": "/api/v4/user/runners", "times": 2, "status": 503, "body": `{"message":"CANARY"}`, "header": m{"Retry-After": "7"}})
	if given.Name != "fault-1" || given.Method != "POST" || given.Path != "user/runners" {
		t.Errorf("order: got %+v", given)
	}
	r.wantVerify("another endpoint", token, 200)
	for i := range 2 {
		status, header, text, err := r.try("POST", "/api/v4/user/runners", r.admin(), m{"runner_type": "instance_type"})
		if err != nil || status != 503 || text != `{"message":"CANARY"}` || header.Get(lab.FaultHeader) != "fault-1" || header.Get("Retry-After") != "7" || header.Get("Content-Type") != "application/json" {
			t.Errorf("request %d: got %d %s %v %v", i, status, text, header, err)
		}
	}
	if got := r.total(); got != before {
		t.Errorf("records: got %s, want %s: nothing is done", got, before)
	}
	var made issued
	if header := r.must(201, "POST", "/api/v4/user/runners", m{"runner_type": "instance_type"}, &made); header.Get(lab.FaultHeader) != "" {
		t.Error("the answer after the ordered ones names a fault")
	}
	if list := r.Faults(); len(list) != 1 || list[0].Acted != 2 {
		t.Errorf("list: got %+v, want one that acted twice", list)
	}
	r.fault(m{"path": "runners/*/reset_authentication_token", "status": 502, "body": "<html>", "after_commit": true})
	status, header, text, err := r.try("POST", "/api/v4/runners/1/reset_authentication_token", r.admin(), m{})
	if err != nil || status != 502 || text != "<html>" || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
		t.Errorf("after the commit: got %d %s %v", status, text, err)
	}
	r.wantVerify("the token whose reset was committed and its answer lost", token, 403)
}

// TestFaultReset: the connection is reset before the work, or after it.
func TestFaultReset(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		r := startRehearsal(t, t.TempDir(), "17.11", "")
		r.fault(m{"name": "wire", "path": "user/**", "reset": true, "after_commit": after})
		_, _, _, err := r.try("POST", "/api/v4/user/runners", r.admin(), m{"runner_type": "instance_type"})
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("after the commit %t: got %v, want a reset", after, err)
		}
		if got, want := r.total(), map[bool]string{false: "0", true: "1"}[after]; got != want {
			t.Errorf("after the commit %t: got %s records, want %s", after, got, want)
		}
		r.create() // spent
	}
}

// TestFaultTruncate: the work is done, and the answer ends before its length.
func TestFaultTruncate(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	r.fault(m{"path": "user/runners", "truncate": 9})
	status, header, text, err := r.try("POST", "/api/v4/user/runners", r.admin(), m{"runner_type": "instance_type"})
	if !errors.Is(err, io.ErrUnexpectedEOF) || status != 201 || text != `{"id":1,"` || header.Get(lab.FaultHeader) != "fault-1" {
		t.Errorf("got %d %q %v %v, want 201 with 9 bytes and an unexpected end", status, text, header, err)
	}
	if got := r.total(); got != "1" {
		t.Errorf("records: got %s, want 1", got)
	}
	// An answer without a body, such as 204, is lost as a whole.
	r.fault(m{"method": "DELETE", "path": "runners/1", "truncate": 0})
	if status, _, _, err := r.try("DELETE", "/api/v4/runners/1", r.admin(), nil); err == nil {
		t.Errorf("204: got %d, want no answer", status)
	}
	if got := r.total(); got != "0" {
		t.Errorf("records: got %s, want 0", got)
	}
}

// TestFaultDelay: the answer is late and true, and a client that gives up ends it.
func TestFaultDelay(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	token := r.create().Token
	r.fault(m{"path": "runners/verify", "delay": "150ms"})
	begin := time.Now()
	r.wantVerify("late", token, 200)
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("the answer took %s, want 150 ms at least", took)
	}
	// A delay does not keep a restart waiting for longer than its grace.
	r.fault(m{"path": "runners/verify", "delay": "10m"})
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := r.try("POST", "/api/v4/runners/verify", "", m{"token": token})
		ended <- err
	}()
	for r.Faults()[1].Acted == 0 {
		r.must(200, "GET", "/-/rekey-lab/faults", nil, nil)
	}
	r.must(200, "POST", "/-/rekey-lab/upgrade", m{"version": "18.0"}, nil)
	if err := <-ended; err == nil {
		t.Error("the delayed request was answered, want it cut off")
	}
}

func TestFaultOrders(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	for name, order := range map[string]m{
		"nothing to do": {"path": "x"}, "no path": {"status": 500}, "two effects": {"path": "x", "status": 500, "reset": true}, "bad status": {"path": "x", "status": 99},
		"body alone": {"path": "x", "reset": true, "body": "y"}, "bad pattern": {"path": "[", "status": 500}, "negative": {"path": "x", "status": 500, "times": -1},
		"long delay": {"path": "x", "delay": "1h"}, "bad name": {"path": "x", "status": 500, "name": "a b"}, "late delay": {"path": "x", "delay": "1s", "after_commit": true},
	} {
		if status, _, text, err := r.try("POST", "/-/rekey-lab/faults", r.admin(), order); status != 400 {
			t.Errorf("%s: got %d %s %v, want 400", name, status, text, err)
		}
	}
	r.fault(m{"name": "a", "path": "version", "status": 500})
	r.fault(m{"name": "b", "path": "version", "status": 501})
	r.must(409, "POST", "/-/rekey-lab/faults", m{"name": "a", "path": "version", "status": 502}, nil)
	r.must(500, "GET", "/api/v4/version", nil, nil) // in the order given
	r.must(200, "DELETE", "/-/rekey-lab/faults/b", nil, nil)
	r.must(404, "DELETE", "/-/rekey-lab/faults/b", nil, nil)
	r.must(200, "GET", "/api/v4/version", nil, nil)
	r.fault(m{"name": "a", "path": "version", "status": 502}) // its name is free once it is spent
	var cleared lab.ClearedFaults
	r.must(200, "DELETE", "/-/rekey-lab/faults", nil, &cleared)
	if cleared.Cleared != 1 || len(r.Faults()) != 0 {
		t.Errorf("clear: got %+v, left %+v", cleared, r.Faults())
	}
	r.must(200, "GET", "/api/v4/version", nil, nil)
}

// TestFaultTimes: however many requests come at once, an order acts on as many as it
// says.
func TestFaultTimes(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	admin := r.admin()
	r.fault(m{"path": "version", "times": 5, "status": 503})
	var failed atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if status, _, _, _ := r.try("GET", "/api/v4/version", admin, nil); status == 503 {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	if got := failed.Load(); got != 5 {
		t.Errorf("failed: got %d of 20, want 5", got)
	}
}
