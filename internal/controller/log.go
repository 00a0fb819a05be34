package controller

import (
	"context"
	"fmt"
	"io"
	"time"

	"rekey/internal/diagnose"
	"rekey/internal/explain"
)

// Log is a source of gitlab-runner's log.
type Log struct {
	Name string // a file's name, or the command that reads the journal
	// Open returns the log. It is read to its end, or until the context that Open
	// was given ends, and closed.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Patience bounds the reading; 0 leaves it to the caller's context.
	Patience time.Duration
}

// readLogs folds the logs into the kinds of lines that the catalogue knows. A log
// that cannot be read, or not to its end, is a note.
func readLogs(ctx context.Context, logs []Log) (lines []diagnose.LogLine, notes []string) {
	if len(logs) == 0 {
		return nil, nil
	}
	catalogue := explain.New()
	for _, log := range logs {
		sum, err := readLog(ctx, catalogue, log)
		switch {
		case err != nil:
			notes = append(notes, fmt.Sprintf("%s was read for %d lines only: %v", log.Name, sum.Lines, err))
		case sum.Lines == 0:
			notes = append(notes, fmt.Sprintf("%s holds nothing that this user may read", log.Name))
		case sum.Recognised == 0:
			notes = append(notes, fmt.Sprintf("%s: none of %d lines is known as gitlab-runner's", log.Name, sum.Lines))
		}
		for _, e := range sum.Explanations {
			lines = append(lines, logLine(log.Name, e))
		}
	}
	return lines, notes
}

func readLog(ctx context.Context, catalogue *explain.Catalogue, log Log) (explain.Summary, error) {
	if log.Patience > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, log.Patience)
		defer stop()
	}
	in, err := log.Open(ctx)
	if err != nil {
		return explain.Summary{}, err
	}
	sum, err := catalogue.Read(ctx, in, nil)
	if closed := in.Close(); err == nil {
		err = closed
	}
	return sum, err
}

func logLine(name string, e explain.Explanation) diagnose.LogLine {
	l := diagnose.LogLine{Log: name, Number: e.Last.Line, ID: e.ID, Text: e.Line, Count: e.Count, At: logTime(e.Last.Time), Runner: e.Fields.Runner, URL: e.Fields.URL}
	for _, c := range e.Consequences {
		l.Joined = append(l.Joined, c.ID)
	}
	return l
}

// logTime reads the times that name their zone; the others could be of any.
func logTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999-0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}
