package controller

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func logOf(text string) Log {
	return Log{Name: "runner.log", Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func TestReadLogsFoldsAndTimes(t *testing.T) {
	t.Parallel()
	logs := []Log{logOf(strings.Join([]string{
		`2025-06-01T12:00:00+0000 host gitlab-runner[7]: ERROR: Checking for jobs... forbidden  runner=CANARYaaa status=POST https://gitlab.example.com/api/v4/jobs/request: 403 Forbidden`,
		`2025-06-01T12:00:03+0000 host gitlab-runner[7]: ERROR: Checking for jobs... forbidden  runner=CANARYaaa status=POST https://gitlab.example.com/api/v4/jobs/request: 403 Forbidden`,
		`2025-06-01T12:00:06+0000 host gitlab-runner[7]: ERROR: Runner "https://gitlab.example.com/CANARYaaa" is unhealthy and will be disabled for 1h0m0s seconds!  unhealthy_requests=3 unhealthy_requests_limit=3`,
	}, "\n"))}
	lines, notes := readLogs(t.Context(), logs)
	if len(lines) != 1 || len(notes) != 0 {
		t.Fatalf("got %+v and notes %q, want one kind and no note", lines, notes)
	}
	l := lines[0]
	if l.ID != "poll-forbidden" || l.Runner != "CANARYaaa" || l.Count != 2 || l.Number != 2 || len(l.Joined) != 1 || l.Joined[0] != "poll-unhealthy" {
		t.Errorf("got %+v, want two refusals of CANARYaaa that the unhealthy line joins", l)
	}
	if want := time.Date(2025, 6, 1, 12, 0, 3, 0, time.UTC); !l.At.Equal(want) {
		t.Errorf("got the time %s, want %s", l.At, want)
	}
}

func TestReadLogsNotesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	gone := Log{Name: "gone.log", Open: func(context.Context) (io.ReadCloser, error) { return nil, errors.New("no such file") }}
	endless := Log{Name: "endless.log", Patience: time.Millisecond, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(endlessLines{}), nil
	}}
	for name, tc := range map[string]struct {
		log  Log
		want string
	}{
		"not there":       {gone, "no such file"},
		"empty":           {logOf(""), "nothing"},
		"not a log of it": {logOf("hello\nworld\n"), "none of 2 lines"},
		"endless":         {endless, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, notes := readLogs(t.Context(), []Log{tc.log})
			if len(notes) != 1 || !strings.Contains(notes[0], tc.want) || !strings.Contains(notes[0], tc.log.Name) {
				t.Errorf("got %q, want one note of %s with %q", notes, tc.log.Name, tc.want)
			}
		})
	}
}

type endlessLines struct{}

func (endlessLines) Read(p []byte) (int, error) {
	return copy(p, "Configuration loaded builds=0\n"), nil
}

func TestLogTimeNeedsAZone(t *testing.T) {
	t.Parallel()
	for text, known := range map[string]bool{
		"2025-06-01T12:00:00Z": true, "2025-06-01T12:00:00.123456789+02:00": true, "2025-06-01T12:00:00+0000": true,
		"2025-06-01 12:00:00": false, "Jun  1 12:00:00": false, "": false,
	} {
		if got := logTime(text); got.IsZero() == known {
			t.Errorf("logTime(%q): got %v, want a time: %v", text, got, known)
		}
	}
}
