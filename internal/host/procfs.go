package host

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTicks is USER_HZ, which Linux shows as 100 on every architecture Go has.
const clockTicks = 100

// readBounded reads at most 256 KiB of a file of /proc, nothing on error.
func readBounded(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	data, _ := io.ReadAll(io.LimitReader(f, 256<<10))
	return data
}

// fields splits the NUL-separated lists of cmdline and environ.
func fields(data []byte) []string {
	data = bytes.TrimRight(data, "\x00")
	if len(data) == 0 {
		return nil
	}
	return strings.Split(string(data), "\x00")
}

// startTicks returns field 22 of /proc/PID/stat, "" when the process has ended.
// The command name before it may hold spaces and parentheses.
func startTicks(proc string, pid int) string {
	data := readBounded(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return ""
	}
	after := strings.Fields(string(data[end+1:]))
	if len(after) < 20 || after[0] == "Z" || after[0] == "X" {
		return ""
	}
	return after[19]
}

func (h Host) bootTime() time.Time {
	for line := range strings.Lines(string(readBounded(h.proc("stat")))) {
		if text, ok := strings.CutPrefix(line, "btime "); ok {
			seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err == nil {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Time{}
}

// started is zero when either part is unknown.
func started(boot time.Time, ticks string) time.Time {
	n, err := strconv.ParseInt(ticks, 10, 64)
	if boot.IsZero() || err != nil || n > math.MaxInt64/int64(time.Second) {
		return time.Time{}
	}
	return boot.Add(time.Duration(n) * (time.Second / clockTicks))
}

// readStatus takes the user and the signals that are caught from
// /proc/PID/status.
func (p *Process) readStatus(text string) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch key {
		case "Uid":
			if uid, err := strconv.Atoi(words[0]); err == nil {
				p.UID = uid
			}
		case "SigCgt":
			mask, err := strconv.ParseUint(words[0], 16, 64)
			p.hangup = err == nil && mask&1 != 0 // SIGHUP is 1
		}
	}
}
