package resident

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestSettleGivesBackThePagesOfTheProgram(t *testing.T) { // not parallel: it counts this process's memory
	read(t, "/proc/self/exe") // all of it is in the page cache
	before := rssFile(t)
	Settle()
	if after := rssFile(t); after >= before {
		t.Errorf("got %d kB of files resident after Settle, want fewer than the %d before", after, before)
	}
	if got := len(regexp.MustCompile(`\bthe\b`).FindAllString("the program goes on with the code it had", -1)); got != 2 {
		t.Errorf("got %d matches after Settle, want 2", got)
	}
}

func TestOnlyCleanMappingsOfTheProgramAreGivenBack(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-019fb000 r-xp 00000000 fe:00 12 /usr/bin/rekey
Rss:               14380 kB
Anonymous:             0 kB
019fb000-0307c000 r--p 015fb000 fe:00 12 /usr/bin/rekey
Anonymous:             4 kB
0307c000-03179000 rw-p 02c7c000 fe:00 12 /usr/bin/rekey
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 13 /usr/lib/ld.so
Anonymous:             0 kB
7f0000002000-7f0000003000 r--p 00000000 00:00 0
Anonymous:             0 kB
`
	got, want := clean(strings.NewReader(smaps), "/usr/bin/rekey"), mapping{0x400000, 0x19fb000}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %x, want the code alone, %x: what was relocated, is writable or belongs to others stays", got, want)
	}
}

// rssFile is how many kB of files this process has mapped and in memory.
func rssFile(t *testing.T) int {
	t.Helper()
	m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindStringSubmatch(read(t, "/proc/self/status"))
	if m == nil {
		t.Skip("this kernel does not say RssFile")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
