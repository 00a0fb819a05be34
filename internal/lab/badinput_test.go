package lab_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

// TestValuesOutOfBounds get the words of the endpoint they were sent to, and
// leave nothing behind.
func TestValuesOutOfBounds(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Profile: "self-managed"})
	tags := make([]string, 1000)
	for i := range tags {
		tags[i] = fmt.Sprintf("CANARY%d", i)
	}
	token := l.Info.RegistrationTokens["instance"]
	instance := func(more labtest.M) labtest.M {
		more["runner_type"] = "instance_type"
		return more
	}
	long := strings.Repeat("ä", 1025)
	walk(t, l, []step{
		{"a thousand tags", "POST", "user/runners", "", instance(labtest.M{"tag_list": tags}), 400, `{"message":"400 Bad request - Tags list Too many tags specified. Please limit the number of tags to 50"}`},
		{"a thousand tags by commas", "POST", "user/runners", "", instance(labtest.M{"tag_list": strings.Join(tags, ",")}), 400, `{"message":"400 Bad request - Tags list Too many tags`},
		{"a thousand tags registered", "POST", "runners", "", labtest.M{"token": token, "tag_list": tags}, 400, `{"message":{"tags_list":["Too many tags specified. Please limit the number of tags to 50"]}}`},
		{"long description", "POST", "user/runners", "", instance(labtest.M{"description": long}), 400, `{"message":"400 Bad request - Description is too long (maximum is 1024 characters)"}`},
		{"huge timeout", "POST", "user/runners", "", instance(labtest.M{"maximum_timeout": 1e30}), 400, `{"error":"maximum_timeout is invalid"}`},
		{"negative timeout", "POST", "user/runners", "", instance(labtest.M{"maximum_timeout": -1}), 400, `{"message":"400 Bad request - Maximum timeout needs to be at least 10 minutes"}`},
		{"unknown level", "POST", "user/runners", "", instance(labtest.M{"access_level": "all"}), 400, `{"error":"access_level does not have a valid value"}`},
		{"group id out of range", "POST", "user/runners", "", labtest.M{"runner_type": "group_type", "group_id": "99999999999999999999"}, 400, `{"error":"group_id is invalid"}`},
		{"negative id", "GET", "runners/-1", "", nil, 404, `{"message":"404 Not found"}`},
		{"page 0", "GET", "runners/all?page=0", "", nil, 400, `{"error":"page does not have a valid value"}`},
		{"huge page", "GET", "runners/all?page=9223372036854775807", "", nil, 400, `{"error":"page does not have a valid value"}`},
		{"version without a number", "GET", "runners/all?version_prefix=V15", "", nil, 400, `{"error":"version_prefix is invalid"}`},
		{"tags of objects", "POST", "user/runners", "", instance(labtest.M{"tag_list": []any{labtest.M{"a": 1}}}), 400, `{"error":"tag_list is invalid"}`},
		{"setting below its least", "PUT", "application/settings", "", labtest.M{"runner_token_expiration_interval": 60}, 400, `{"message":{"runner_token_expiration_interval":["must be greater than or equal to 7200"]}}`},
		{"unknown registrar", "PUT", "application/settings", "", labtest.M{"valid_runner_registrars": []string{"user"}}, 400, `{"error":"valid_runner_registrars does not have a valid value"}`},
	})
	if got := l.Call("GET", "runners/all", l.Admin, nil); got.Body != "[]" {
		t.Errorf("runners afterwards: got %s, want none", got.Body)
	}
}

// served is a lab behind Serve, and how to end it.
func served(t *testing.T) (s *lab.Server, address string, stop func() error) {
	t.Helper()
	s, err := lab.Open(t.Context(), lab.Options{Dir: t.TempDir(), Version: rekey.Version{Major: 18, Minor: 11}, Profile: lab.ProfileSelfManaged, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		err := <-done
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s, listener.Addr().String(), stop
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address) //nolint:noctx // local, at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn) //nolint:forcetypeassert // tcp
}

// TestBrokenConnections: a client that closes its half is answered, one that goes
// away in the middle leaves nothing, one that is slow is waited for.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	s, address, _ := served(t)
	info := s.Info()
	body := `{"token":"` + info.RegistrationTokens["instance"] + `"}`
	head := fmt.Sprintf("POST /api/v4/runners HTTP/1.1\r\nHost: lab.example\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(body))
	answer := func(conn net.Conn) int {
		t.Helper()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("answer: %v", err)
			return 0
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode
	}
	half := dial(t, address)
	if _, err := io.WriteString(half, head+body); err != nil {
		t.Fatal(err)
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := answer(half); got != 201 {
		t.Errorf("half-closed: got %d, want 201", got)
	}
	cut := dial(t, address)
	if _, err := io.WriteString(cut, head+body[:len(body)/2]); err != nil {
		t.Fatal(err)
	}
	if err := cut.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := answer(cut); got != 400 {
		t.Errorf("body cut off: got %d, want 400", got)
	}
	slow := dial(t, address)
	for i := range len(head) + len(body) {
		if _, err := io.WriteString(slow, (head + body)[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := answer(slow); got != 201 {
		t.Errorf("byte by byte: got %d, want 201", got)
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/api/v4/runners/all?private_token="+info.AdminToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("X-Total"); got != "2" {
		t.Errorf("runners afterwards: got %s, want the two that were answered", got)
	}
}

// TestStopLetsHeldPollsGo: ending the lab answers a held poll with 204 at once.
func TestStopLetsHeldPollsGo(t *testing.T) {
	t.Parallel()
	s, address, stop := served(t)
	if err := s.SetLongPolling(t.Context(), 4*time.Minute); err != nil {
		t.Fatal(err)
	}
	post := func(path, token, body string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/api/v4/"+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return nil
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Private-Token", token)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		_ = response.Body.Close()
		return response
	}
	registered := `{"token":"` + s.Info().RegistrationTokens["instance"] + `"}`
	request, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/api/v4/runners", strings.NewReader(registered))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != 201 {
		t.Fatalf("register: %d %v", response.StatusCode, err)
	}
	_, token, _ := strings.Cut(string(raw), `"token":"`)
	token, _, _ = strings.Cut(token, `"`)
	first := post("jobs/request", "", `{"token":"`+token+`"}`)
	if first == nil || first.StatusCode != 204 {
		t.Fatalf("first poll: %v", first)
	}
	answered := make(chan *http.Response, 1)
	go func() {
		answered <- post("jobs/request", "", `{"token":"`+token+`","last_update":"`+first.Header.Get("X-GitLab-Last-Update")+`"}`)
	}()
	for s.HeldPolls() == 0 { // until it arrived
		if t.Context().Err() != nil {
			t.Fatal("the poll never arrived")
		}
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := <-answered; got == nil || got.StatusCode != 204 || got.Header.Get("X-GitLab-Last-Update") != "" {
		t.Errorf("held poll: got %v, want 204 without a value", got)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("stopping took %s, want it not to wait for the poll", took)
	}
}
