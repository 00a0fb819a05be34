package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// systemID is this script's host.
const systemID = "s_0123456789ab"

// cmdCode is exec for a program whose exit status matters.
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s ended with %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

var placeholder = regexp.MustCompile(`@[A-Z][A-Z0-9_]*@`)

func cmdExpand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("NOW", time.Now().Add(time.Second).UTC().Format(time.RFC3339)) // later than the records just made
	for _, file := range args {
		text := placeholder.ReplaceAllStringFunc(ts.ReadFile(file), func(name string) string { return ts.Getenv(strings.Trim(name, "@")) })
		path := ts.MkAbs(file)
		ts.Check(os.WriteFile(path, []byte(text), 0o600))
		ts.Check(os.WriteFile(filepath.Join(filepath.Dir(path), ".runner_system_id"), []byte(systemID), 0o600))
	}
}

func cmdManySections(ts *testscript.TestScript, _ bool, args []string) {
	var text bytes.Buffer
	for i := range int(number(ts, args[1])) {
		fmt.Fprintf(&text, "[[runners]]\n  name = \"many-%d\"\n  url = %q\n  id = %d\n  token = \"glrt-CANARY%014d\"\n  executor = \"shell\"\n", i, ts.Getenv("LAB"), 100000+i, i)
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	ts.Check(err)
	_, err = f.Write(text.Bytes())
	ts.Check(err)
	ts.Check(f.Close())
}

// cmdJSON finds a value by a path such as sections.0.verdict; text is compared
// without its quotes. A doctor's document must fit its schema as well.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("%s is no JSON: %v", args[0], err)
	}
	if _, err := d.Token(); err != io.EOF {
		ts.Fatalf("%s holds more than one document", args[0])
	}
	if child(v, "schema") == "rekey.doctor/1" {
		ts.Check(fitsSchema(ts.ReadFile(args[0])))
	}
	for _, key := range strings.Split(args[1], ".") {
		v = child(v, key)
	}
	got := fmt.Sprint(v)
	if neg == (got == args[2]) {
		ts.Fatalf("%s of %s is %q, want %q (not: %v)", args[1], args[0], got, args[2], neg)
	}
}

// cmdDescribed holds a real document to its description.
func cmdDescribed(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", args[1]))
	ts.Check(err)
	for _, wrong := range undescribed(v, string(doc), "") {
		ts.Fatalf("%s: %s", args[0], wrong)
	}
}

// undescribed names the fields that a description does not have in backquotes, and
// the lists that are null.
func undescribed(v any, doc, path string) (wrong []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if named := regexp.MustCompile("`([a-z_]+\\.|[a-z_]+\\[\\]\\.)*" + regexp.QuoteMeta(key) + "(\\[\\])?`"); !named.MatchString(doc) {
				wrong = append(wrong, path+"."+key+" is not described")
			}
			if value == nil && key != "plan" {
				wrong = append(wrong, path+"."+key+" is null")
			}
			wrong = append(wrong, undescribed(value, doc, path+"."+key)...)
		}
	case []any:
		for _, item := range v {
			wrong = append(wrong, undescribed(item, doc, path+"[]")...)
		}
	}
	return wrong
}

func child(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[key]
	case []any:
		if key == "len" {
			return len(v)
		}
		if i, err := strconv.Atoi(key); err == nil && i < len(v) {
			return v[i]
		}
	}
	return nil
}

var tokenShape = regexp.MustCompile(`(?:gl(?:rtr|rt|pat)-|GR1348941)[A-Za-z0-9_.-]{12,}`)

// cmdNoleak sweeps what was printed last, and files and directories. The shape
// finds tokens that the script never knew, such as one that fix received.
func cmdNoleak(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range append([]string{"stdout", "stderr"}, args...) {
		if info, err := os.Stat(ts.MkAbs(name)); err != nil || !info.IsDir() {
			sweep(ts, name, ts.ReadFile(name))
			continue
		}
		ts.Check(filepath.WalkDir(ts.MkAbs(name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			sweep(ts, path, path+ts.ReadFile(path))
			return nil
		}))
	}
}

func sweep(ts *testscript.TestScript, name, text string) {
	if found := tokenShape.FindString(text); found != "" {
		ts.Fatalf("%s holds a token: %s", name, found)
	}
	for _, secret := range worldOf(ts).secrets {
		if strings.Contains(text, secret) {
			ts.Fatalf("%s holds a token: %s", name, secret)
		}
	}
}

// cmdScribble rewrites the file as gitlab-runner does, truncating it, with a
// comment more each time.
func cmdScribble(ts *testscript.TestScript, _ bool, args []string) {
	path, done, ended := ts.MkAbs(args[0]), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 1; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			data, err := os.ReadFile(path)
			if err == nil && len(data) > 0 {
				_ = writeSlowly(path, append(data, fmt.Sprintf("# note %d\n", i)...))
			}
		}
	}()
	worldOf(ts).stop = func() {
		select {
		case <-done:
		default:
			close(done)
		}
		<-ended
	}
	ts.Defer(worldOf(ts).stop)
}

// writeSlowly truncates and writes in place, as gitlab-runner does, and takes its time
// about it, as on a busy machine.
func writeSlowly(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
		<-time.After(5 * time.Millisecond)
		if _, err := f.Write(part); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

func cmdUnscribble(ts *testscript.TestScript, _ bool, _ []string) { worldOf(ts).stop() }

func cmdAwaitfile(ts *testscript.TestScript, _ bool, args []string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			ts.Fatalf("%s never appeared", args[0])
		}
	}
}
