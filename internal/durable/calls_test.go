package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// carriers run the function literals they are given inside a point.
var carriers = []string{
	"durable.Call",
	"durable.writeTemp", // runs dress inside replace.temp.dress
	"gitlab.change",     // runs the request inside gitlab.NAME
}

// readers are given function literals that only send GET.
var readers = []string{"gitlab.read"}

// allowed are durable calls without a point of their own, as "package function:
// call", with the reason.
var allowed = map[string]string{
	"durable write: os.OpenFile":   "the log of the points themselves",
	"durable die: .Kill":           "the crash itself",
	"durable LockDir: os.OpenFile": "an empty lock file; nothing to lose",
	"gitlab RoundTrip: .RoundTrip": "the transport below every request; its callers have the points",
	"app call: .Do":                "an order to a lab of one's own: no GitLab, no token that could be lost",
	"gitlab exchange: .Do":         "sends what its callers hand it; those that change something have the points",
}

func TestEveryDurableCallHasAPoint(t *testing.T) {
	t.Parallel()
	unused := map[string]bool{}
	for _, pkg := range []string{"durable", "remedy", "host", "gitlab", "app"} {
		dir := filepath.Join("..", pkg)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for name := range allowed {
			if len(name) > len(pkg) && name[:len(pkg)+1] == pkg+" " {
				unused[name] = true
			}
		}
		acts, err := scanDir(dir, carriers, readers)
		must(t, err)
		for _, a := range acts {
			name := pkg + " " + a.String()
			delete(unused, name)
			if allowed[name] == "" {
				t.Errorf("%s: %s calls %s outside a function given to durable.Call", a.at, a.fn, a.what)
			}
		}
	}
	for name := range unused {
		t.Errorf("%q is allowed but not there any more: take it off the list", name)
	}
}

func TestScanFindsDurableCalls(t *testing.T) {
	t.Parallel()
	const source = `package app
type store struct{ file *os.File; api *api.Client }
func bare() { os.Rename("a", "b") }
func pointed() { durable.Call("x", func() error { return os.Rename("a", "b") }) }
func value(f *os.File) { durable.Call("x", f.Sync) }
func sync(f *os.File) { f.Sync() }
func (s *store) write() { s.file.Write(nil) }
func hash(h hash.Hash) { h.Write(nil); time.Now().Truncate(time.Second) }
func inner() { os.Remove("a") }
func outer() { durable.Call("x", func() error { inner(); return nil }) }
func leaky() { syscall.Kill(1, 1) }
func both() { durable.Call("x", func() error { leaky(); return nil }); leaky() }
func open() { os.OpenFile("a", os.O_RDONLY, 0); os.OpenFile("b", os.O_CREATE|os.O_WRONLY, 0) }
func request(c *http.Client) { c.Do(nil) }
func once(o sync.Once) { o.Do(func() {}) }
func signal(p *os.Process) { p.Signal(1) }
func reads(s *store) { s.read(func() { s.api.Do(1) }) }
func lies(s *store) { s.read(func() { s.api.NewRequest(http.MethodPost, "x"); s.api.Runners.DeleteRunner(1) }) }
func escapes() { os.Remove("a") }
func passes() { durable.Call("x", func() error { escapes(); return nil }); go run(escapes) }
`
	acts, err := scanSources("app", map[string][]byte{"a.go": []byte(source)}, carriers, []string{"app.read"})
	must(t, err)
	var got []string
	for _, a := range acts {
		got = append(got, a.String())
	}
	want := []string{
		"bare: os.Rename", "sync: File.Sync", "write: File.Write", "leaky: syscall.Kill", "open: os.OpenFile",
		"request: .Do", "signal: .Signal", "lies: a change in a read", "lies: s.api.Runners.DeleteRunner", "escapes: os.Remove",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found\n%q\nwant\n%q", got, want)
	}
}
