package lab

import (
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rekey"
)

// Fault is an explicit order to fail: the next Times requests that match Method
// and Path are answered otherwise than GitLab would. Orders are carried out in
// the order they were given, never at random, and are forgotten when the lab
// stops.
type Fault struct {
	Name   string `json:"name"`
	Method string `json:"method,omitempty"` // "": any
	Path   string `json:"path"`             // below /api/v4; "*" is one segment, a final "**" any number
	Times  int    `json:"times"`            // 0 as given is 1
	Acted  int    `json:"acted"`            // how often it did; ignored as given

	Delay       string            `json:"delay,omitempty"` // before anything else, as ParseDuration reads it
	Status      int               `json:"status,omitempty"`
	Body        string            `json:"body,omitempty"`
	Header      map[string]string `json:"header,omitempty"`
	Reset       bool              `json:"reset,omitempty"`        // the connection is reset
	Truncate    *int              `json:"truncate,omitempty"`     // how many bytes of the true body are sent before the connection ends
	AfterCommit bool              `json:"after_commit,omitempty"` // the request does its work first; always so with Truncate
}

// FaultHeader names the order in every answer that it made or delayed.
const FaultHeader = "X-Rekey-Lab-Fault"

const (
	maxFaults     = 1000
	maxFaultTimes = 1_000_000
	maxFaultDelay = 10 * time.Minute
)

// faultOrders are those given since the lab started.
type faultOrders struct {
	mu    sync.Mutex
	given []*Fault
	count int // for names
}

func newFaultOrders() *faultOrders { return &faultOrders{} }

// AddFault gives an order, and returns it with the name it has.
func (r *Rehearsal) AddFault(f Fault) (Fault, error) {
	if err := f.check(); err != nil {
		return Fault{}, err
	}
	return r.orders.add(f)
}

// Faults lists all orders, those already carried out too.
func (r *Rehearsal) Faults() []Fault { return r.orders.list() }

// ClearFaults withdraws the order with this name, or all for "", and returns how
// many.
func (r *Rehearsal) ClearFaults(name string) (int, error) { return r.orders.clear(name) }

func (f *Fault) check() error {
	f.Acted = 0
	if f.Times == 0 {
		f.Times = 1
	}
	f.Method = strings.ToUpper(f.Method)
	f.Path = strings.Trim(strings.TrimPrefix(strings.TrimPrefix(f.Path, "/"), "api/v4/"), "/")
	wrong := f.wrong()
	if wrong == "" {
		if f.Name == "" {
			return nil
		}
		return checkName("fault", f.Name)
	}
	return rekey.Errorf(rekey.KindInvalid, "this fault cannot be ordered: %s", wrong).WithHint("see `rekey lab fault add --help`")
}

// wrong says what is wrong with an order, "" for nothing.
func (f *Fault) wrong() string {
	delay, err := ParseDuration(f.Delay)
	segments := strings.Split(f.Path, "/")
	switch {
	case f.Delay != "" && (err != nil || delay <= 0 || delay > maxFaultDelay):
		return "the delay must be a time of up to " + maxFaultDelay.String()
	case f.Path == "":
		return "it names no path, such as jobs/request or runners/*/reset_authentication_token"
	case slices.ContainsFunc(segments, func(s string) bool { _, err := path.Match(s, ""); return err != nil }):
		return "its path is no pattern"
	case f.Times < 1 || f.Times > maxFaultTimes:
		return "times must be from 1 to " + strconv.Itoa(maxFaultTimes)
	case f.Status == 0 && !f.Reset && f.Truncate == nil && f.Delay == "":
		return "it says nothing of what to do: status, delay, reset or truncate"
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return "the status must be from 200 to 599"
	case count(f.Status != 0, f.Reset, f.Truncate != nil) > 1:
		return "only one of status, reset and truncate can be done"
	case f.Status == 0 && (f.Body != "" || len(f.Header) > 0):
		return "a body or header needs a status"
	case f.Truncate != nil && *f.Truncate < 0:
		return "truncate is a number of bytes"
	case f.AfterCommit && f.Status == 0 && !f.Reset && f.Truncate == nil:
		return "after_commit needs status, reset or truncate"
	}
	return ""
}

func count(all ...bool) int {
	n := 0
	for _, yes := range all {
		if yes {
			n++
		}
	}
	return n
}

func (f *Fault) spent() bool { return f.Acted >= f.Times }

// matches compares the segments as they were sent, without /api/v4/.
func (f *Fault) matches(method, escaped string) bool {
	if f.Method != "" && f.Method != method {
		return false
	}
	have := strings.Split(strings.Trim(escaped, "/"), "/")
	want := strings.Split(f.Path, "/")
	if want[len(want)-1] == "**" {
		want = want[:len(want)-1]
		have = have[:min(len(have), len(want))]
	}
	return slices.EqualFunc(want, have, func(pattern, segment string) bool {
		ok, _ := path.Match(pattern, segment)
		return ok
	})
}

func (o *faultOrders) add(f Fault) (Fault, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f.Name == "" {
		o.count++
		f.Name = "fault-" + strconv.Itoa(o.count)
	}
	same := slices.IndexFunc(o.given, func(g *Fault) bool { return g.Name == f.Name })
	switch {
	case same >= 0 && !o.given[same].spent():
		return Fault{}, rekey.Errorf(rekey.KindConflict, "a fault %s is ordered already", f.Name).WithHint("clear it first, or choose another name")
	case same >= 0:
		o.given = slices.Delete(o.given, same, same+1)
	case len(o.given) >= maxFaults:
		return Fault{}, rekey.Errorf(rekey.KindConflict, "%d faults are ordered already", maxFaults).WithHint("clear them first")
	}
	o.given = append(o.given, &f)
	return f, nil
}

func (o *faultOrders) list() []Fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Fault, len(o.given))
	for i, f := range o.given {
		all[i] = *f
	}
	return all
}

func (o *faultOrders) clear(name string) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := len(o.given)
	o.given = slices.DeleteFunc(o.given, func(f *Fault) bool { return name == "" || f.Name == name })
	if name != "" && len(o.given) == before {
		return 0, rekey.Errorf(rekey.KindNotFound, "no fault %s is ordered", name).WithHint("`rekey lab fault list` shows those that are")
	}
	return before - len(o.given), nil
}

// take returns the first order for the request that is not spent, counted; nil for
// none.
func (o *faultOrders) take(r *http.Request) *Fault {
	escaped := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v4/")
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.given {
		if !f.spent() && f.matches(r.Method, escaped) {
			f.Acted++
			taken := *f
			return &taken
		}
	}
	return nil
}

// contentType is that of the ordered body where no header says so.
func (f *Fault) contentType() string {
	if json.Valid([]byte(f.Body)) {
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}
