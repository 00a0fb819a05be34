package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdCall prints the answer's headers, an empty line and the body; labs that the
// script runs itself are no labtest.Lab, hence not for api.
func cmdCall(ts *testscript.TestScript, _ bool, args []string) {
	var body io.Reader
	if len(args) > 5 {
		raw, err := json.Marshal(object(ts, args[5:]))
		ts.Check(err)
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequest(args[3], ts.Getenv(args[0])+args[4], body)
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	if args[1] != "-" {
		r.Header.Set("Private-Token", args[1])
	}
	response, err := http.DefaultClient.Do(r)
	got, text := "none", []byte(fmt.Sprint(err))
	if err == nil {
		got = strconv.Itoa(response.StatusCode)
		ts.Check(response.Header.Write(ts.Stdout()))
		text, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			got = "broken"
		}
	}
	if got != args[2] {
		ts.Fatalf("%s %s: got %s %s, want %s", args[3], args[4], got, text, args[2])
	}
	fmt.Fprintf(ts.Stdout(), "\n%s\n", text)
}

// cmdIssued sets a variable to the token in what call printed last.
func cmdIssued(ts *testscript.TestScript, _ bool, args []string) {
	_, body, _ := bytes.Cut([]byte(ts.ReadFile("stdout")), []byte("\n\n"))
	if len(body) == 0 {
		_, body, _ = bytes.Cut([]byte(ts.ReadFile("stdout")), []byte("\r\n\n"))
	}
	var made struct {
		ID    int64
		Token string
	}
	ts.Check(json.Unmarshal(body, &made))
	worldOf(ts).secret(ts, args[0], made.Token)
	ts.Setenv(args[0]+"_ID", strconv.FormatInt(made.ID, 10))
}
