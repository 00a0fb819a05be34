package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rekey/internal/lab/labtest"
)

func cmdLab(ts *testscript.TestScript, _ bool, args []string) {
	name, w := args[0], worldOf(ts)
	o := labtest.Options{Version: args[1]}
	if len(args) > 2 {
		o.Profile = args[2]
	}
	r, ahead := newRecorder(), &atomic.Int64{}
	o.Fault = r.wrap
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	l := labtest.Start(w.t, o)
	w.mu.Lock()
	w.labs[name], w.servers[name], w.ahead[name] = l, r, ahead
	w.mu.Unlock()
	w.secret(ts, name+"_ADMIN", l.Admin)
	w.secret(ts, name+"_REGISTRATION", l.Info.RegistrationTokens["instance"])
	ts.Setenv(name, l.URL)
}

// cmdClock puts a lab's clock ahead of this machine's.
func cmdClock(ts *testscript.TestScript, _ bool, args []string) {
	by, err := time.ParseDuration(args[1])
	ts.Check(err)
	ahead := worldOf(ts).ahead[args[0]]
	if ahead == nil {
		ts.Fatalf("there is no lab %s", args[0])
	}
	ahead.Store(int64(by))
}

// secret sets a variable whose value must not be printed by anything.
func (w *world) secret(ts *testscript.TestScript, name, value string) {
	ts.Setenv(name, value)
	if value != "" {
		w.secrets = append(w.secrets, value)
	}
}

func (w *world) lab(ts *testscript.TestScript, name string) *labtest.Lab {
	l := w.labs[name]
	if l == nil {
		ts.Fatalf("there is no lab %s", name)
	}
	return l
}

func cmdMkrunner(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	owner := int64(0)
	if len(args) > 3 {
		owner = number(ts, args[3])
	}
	attributes := labtest.M{}
	if len(args) > 4 {
		attributes = object(ts, args[4:])
	}
	made := w.lab(ts, args[0]).Runner(args[2], owner, attributes)
	w.secret(ts, args[1], made.Token)
	ts.Setenv(args[1]+"_ID", strconv.FormatInt(made.ID, 10))
}

func cmdLabjson(ts *testscript.TestScript, _ bool, args []string) {
	var info struct {
		URL   string `json:"url"`
		Admin string `json:"admin_token"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &info))
	ts.Setenv(args[1], info.URL)
	worldOf(ts).secret(ts, args[1]+"_ADMIN", info.Admin)
}

func cmdFresh(ts *testscript.TestScript, _ bool, args []string) {
	var made labtest.Issued
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &made))
	worldOf(ts).secret(ts, args[0], made.Token)
}

func cmdMkgroup(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[1], strconv.FormatInt(worldOf(ts).lab(ts, args[0]).Group(args[2], 0), 10))
}

func cmdMkproject(ts *testscript.TestScript, _ bool, args []string) {
	group := int64(0)
	if len(args) > 3 {
		group = number(ts, args[3])
	}
	id, path := worldOf(ts).lab(ts, args[0]).Project(args[2], group)
	ts.Setenv(args[1], strconv.FormatInt(id, 10))
	ts.Setenv(args[1]+"_PATH", path)
}

func cmdPat(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	l := w.lab(ts, args[0])
	var admin struct {
		ID int64 `json:"id"`
	}
	l.Must(http.StatusOK, "GET", "user", nil, &admin)
	w.secret(ts, args[1], l.PAT(admin.ID, args[2:]...))
}

func cmdAPI(ts *testscript.TestScript, _ bool, args []string) {
	l := worldOf(ts).lab(ts, args[0])
	var body any
	if len(args) > 4 {
		body = object(ts, args[4:])
	}
	a := l.Call(args[2], args[3], l.Admin, body)
	if strconv.Itoa(a.Status) != args[1] {
		ts.Fatalf("%s %s: got %d %s, want %s", args[2], args[3], a.Status, a.Body, args[1])
	}
	fmt.Fprintln(ts.Stdout(), a.Body)
}

// object reads KEY=TEXT and KEY:=JSON.
func object(ts *testscript.TestScript, pairs []string) labtest.M {
	m := labtest.M{}
	for _, pair := range pairs {
		key, text, _ := strings.Cut(pair, "=")
		if key, ok := strings.CutSuffix(key, ":"); ok {
			var v any
			ts.Check(json.Unmarshal([]byte(text), &v))
			m[key] = v
			continue
		}
		m[key] = text
	}
	return m
}

func number(ts *testscript.TestScript, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	ts.Check(err)
	return n
}

// cmdLabstate writes what an administrator reads of every runner and manager.
func cmdLabstate(ts *testscript.TestScript, _ bool, args []string) {
	l := worldOf(ts).lab(ts, args[0])
	var list []struct {
		ID int64 `json:"id"`
	}
	l.Must(http.StatusOK, "GET", "runners/all?per_page=100", nil, &list)
	var text strings.Builder
	for _, r := range list {
		text.WriteString(l.Call("GET", fmt.Sprintf("runners/%d", r.ID), l.Admin, nil).Body + "\n")
		text.WriteString(l.Call("GET", fmt.Sprintf("runners/%d/managers", r.ID), l.Admin, nil).Body + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text.String()), 0o600))
}
