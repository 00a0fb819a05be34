package explain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"rekey/internal/explain"
)

func read(t *testing.T, text string) (explain.Summary, []explain.Explanation) {
	t.Helper()
	var seen []explain.Explanation
	sum, err := explain.New().Read(t.Context(), strings.NewReader(text), func(e explain.Explanation) { seen = append(seen, e) })
	if err != nil {
		t.Fatal(err)
	}
	return sum, seen
}

// told writes what a journal came to: id, count, and what it explains.
func told(sum explain.Summary) string {
	var lines []string
	for _, e := range sum.Explanations {
		line := fmt.Sprintf("%s %d", e.ID, e.Count)
		for _, q := range e.Consequences {
			line += fmt.Sprintf(" < %s %d", q.ID, q.Count)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestConsequencesAreJoined(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"register": {
			"ERROR: Registering runner... failed  runner=AbCdEfGh status=POST https://g/api/v4/runners: 410 Gone (410 Gone - runner registration disallowed)\nPANIC: Failed to register the runner.\n",
			"register-failed/gone 1 < register-panic 1",
		},
		"a panic alone": {"PANIC: Failed to register the runner.", "register-panic 1"},
		"a panic far away": {
			"ERROR: Registering runner... failed  status=404 Not Found\n" + strings.Repeat("ordinary\n", 60) + "PANIC: Failed to register the runner.\n",
			"register-panic 1\nregister-failed/not-found 1",
		},
		"glrt refused": {"Verifying runner... is not valid  runner=CANARYbbb\nPANIC: Failed to verify the runner.\n", "verify-not-valid 1 < register-glrt-panic 1"},
		"glrt unreachable": {
			"ERROR: Verifying runner... failed  runner=CANARYbbb status=502 Bad Gateway\nPANIC: Failed to verify the runner.\n",
			"verify-failed/down 1 < register-glrt-panic 1",
		},
		"verify": {"ERROR: Verifying runner... is removed  runner=AbCdEfGh\nFATAL: Failed to verify runners\n", "verify-removed 1 < verify-fatal 1"},
		"token flag": {
			"Token specified trying to verify runner...\nWARNING: If you want to register use the '-r' instead of '-t'.\nERROR: Verifying runner... is removed  runner=GR1348941CANARYaa\nPANIC: Failed to verify the runner. You may be having network problems.\n",
			"register-token-flag 2\nverify-removed 1 < register-verify-panic 1",
		},
		"unhealthy, of its own runner": {
			strings.Repeat("ERROR: Checking for jobs... forbidden  runner=AbCdEfGh\nERROR: Checking for jobs... forbidden  runner=ZyXwVuTs\n", 3) +
				"ERROR: Runner \"https://g.example.com/AbCdEfGhIjCANARY1234\" is unhealthy and will be disabled for 1h0m0s seconds!\nWARNING: Runner \"https://g.example.com/AbCdEfGh\" is not healthy, but check for a new job will be forced!\n",
			"poll-forbidden 3 < poll-unhealthy 1 < poll-forced 1\npoll-forbidden 3",
		},
		"reset-token": {
			"ERROR: Resetting runner token... failed (check used token)  runner=AbCdEfGh\nFATAL: Failed to reset runner token  id=0 name=r\n",
			"reset-forbidden 1 < reset-fatal 1",
		},
		"unregister": {"ERROR: Unregistering runner from GitLab forbidden  runner=AbCdEfGh\nFATAL: Failed to unregister runner r\n", "unregister-forbidden 1 < unregister-fatal 1"},
		"helm": {
			"Registration attempt 1 of 30\nERROR: Verifying runner... is not valid  runner=CANARYbbb\nPANIC: Failed to verify the runner.\nRegistration attempt 2 of 30\n",
			"verify-not-valid 1 < register-glrt-panic 1 < chart-attempt 2",
		},
		"helm alone": {"Registration attempt 1 of 30\nRegistration attempt 2 of 30\n", "chart-attempt 2"},
	} {
		sum, seen := read(t, c.text)
		if got := told(sum); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if len(seen) != len(sum.Explanations) {
			t.Errorf("%s: each was called %d times, want once for each of %d", name, len(seen), len(sum.Explanations))
		}
	}
}

func TestNeighboursChangeWhatALineMeans(t *testing.T) {
	t.Parallel()
	const refused, rotated = "ERROR: Checking for jobs... forbidden  runner=AbCdEfGh\n", "Resetting runner authentication token... succeeded  runner=ZyXwVuTs\n"
	for _, c := range []struct {
		text string
		id   string
		note bool
	}{
		{rotated + refused, "poll-forbidden", true},
		{refused + rotated, "poll-forbidden", true},
		{rotated + refused + refused, "poll-forbidden", false},
		{refused, "poll-forbidden", false},
		{"Verifying runner... is valid  runner=CANARYbbb\nPANIC: Failed to verify the runner.\n", "register-glrt-panic", true},
		{"PANIC: Failed to verify the runner.\n", "register-glrt-panic", false},
	} {
		sum, _ := read(t, c.text)
		for _, e := range sum.Explanations {
			if e.ID == c.id && (e.Note != "") != c.note {
				t.Errorf("%q: note of %s is %q, want one: %v", c.text, e.ID, e.Note, c.note)
			}
		}
	}
}

func TestRepeatsAreFolded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "2026-11-22T11:%02d:%02dZ ERROR: Checking for jobs... forbidden  runner=AbCdEfGh\n", i/60, i%60)
	}
	sum, _ := read(t, "Running in system-mode.\nERROR: something new\nERROR: something new\n"+text.String())
	e := sum.Explanations[0]
	if e.Count != 1000 || e.First != (explain.Occurrence{Line: 4, Time: "2026-11-22T11:00:00Z"}) || e.Last != (explain.Occurrence{Line: 1003, Time: "2026-11-22T11:16:39Z"}) {
		t.Errorf("got %d from %+v to %+v, want 1000 from line 4 to line 1003", e.Count, e.First, e.Last)
	}
	if sum.Lines != 1003 || sum.Recognised != 1001 || sum.Unrecognised != 2 || len(sum.Samples) != 1 {
		t.Errorf("got %d lines, %d recognised, %d unrecognised, samples %q; want 1003, 1001, 2 and one", sum.Lines, sum.Recognised, sum.Unrecognised, sum.Samples)
	}
}

// endless is a log of one line without an end, and then a good one.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = "x\xff\x00{"[i%4]
	}
	e.left -= n
	return n, nil
}

func TestLinesOfMegabytes(t *testing.T) {
	t.Parallel()
	in := io.MultiReader(strings.NewReader("ERROR: Checking for jobs... forbidden  runner=AbCdEfGh "), &endless{left: 8 << 20}, strings.NewReader("\nERROR: Verifying runner... is removed  runner=AbCdEfGh"))
	sum, err := explain.New().Read(t.Context(), in, nil)
	if err != nil || told(sum) != "poll-forbidden 1\nverify-removed 1" || sum.Cut != 1 {
		t.Errorf("got %q, cut %d, %v; want both lines and one cut", told(sum), sum.Cut, err)
	}
	for _, e := range sum.Explanations {
		if len(e.Line) > 2048 || len(e.Fields.Runner) > 2048 {
			t.Errorf("%s: a line of %d bytes is shown", e.ID, len(e.Line))
		}
	}
}

func TestManyRunnersStayBounded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 2100 {
		fmt.Fprintf(&text, "ERROR: Checking for jobs... forbidden  runner=r%07d\n", i)
	}
	sum, _ := read(t, text.String())
	if len(sum.Explanations) != 2048 || sum.Dropped != 2100-2048 {
		t.Errorf("got %d kept, %d dropped; want 2048 and the rest", len(sum.Explanations), sum.Dropped)
	}
}

func TestReadingBreaksOff(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	in := io.MultiReader(strings.NewReader("Running in system-mode.\nERROR: Checking for jobs... forbidden"), iotest.ErrReader(broken))
	sum, err := explain.New().Read(t.Context(), in, nil)
	if !errors.Is(err, broken) || sum.Recognised != 2 {
		t.Errorf("got %d recognised, %v; want 2 and the error", sum.Recognised, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := explain.New().Read(ctx, strings.NewReader("x\n"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}
