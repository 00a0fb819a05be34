package main_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// initLine is what the Go runtime says of one package with GODEBUG=inittrace=1.
var initLine = regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) bytes, \d+ allocs$`)

// Bounds of what package variables allocate before main: a table that a command
// does not need is made when it is asked for. The runtime collects garbage first at
// 4 MiB, so that below it no command starts with a collection.
const (
	mostOfOne  = 256 << 10
	mostOfOurs = 768 << 10
	mostOfAll  = 15 << 18
)

func TestStartAllocatesLittle(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(mortal, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	found := initLine.FindAllStringSubmatch(trace.String(), -1)
	if len(found) < 100 {
		t.Fatalf("got %d lines of inittrace, want one for each of some hundred packages:\n%s", len(found), trace.String())
	}
	var ours, all int
	for _, line := range found {
		bytes, err := strconv.Atoi(line[2])
		if err != nil {
			t.Fatal(err)
		}
		all += bytes
		if name := line[1]; name == "rekey" || strings.HasPrefix(name, "rekey/") {
			ours += bytes
			if bytes > mostOfOne {
				t.Errorf("%s allocates %d bytes before main, want at most %d", name, bytes, mostOfOne)
			}
		}
	}
	if ours > mostOfOurs {
		t.Errorf("this module's packages allocate %d bytes before main, want at most %d", ours, mostOfOurs)
	}
	if all > mostOfAll {
		t.Errorf("all packages allocate %d bytes before main, want at most %d", all, mostOfAll)
	}
}
