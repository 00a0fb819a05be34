package resident

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// release gives back the resident pages of this program's code and read-only data.
// The initialisation of some hundred packages maps most of them, and none is used
// again. They are clean pages of a file: madvise(2) drops them from this process
// alone, and the next access maps them again. A failure costs nothing but memory.
func release() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = smaps.Close() }()
	for _, m := range clean(smaps, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// clean reads smaps(5) and returns the mappings of program that nobody may write to
// and of which nothing was written: a dropped page that was changed, as the loader
// changes some, would come back as the file has it.
func clean(smaps io.Reader, program string) []mapping {
	var found []mapping
	var now mapping
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		switch fields := strings.Fields(line); {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			now = mapping{}
			if (fields[1] == "r-xp" || fields[1] == "r--p") && strings.HasSuffix(line, " "+program) {
				now = addresses(fields[0])
			}
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && now.end > 0:
			found = append(found, now)
		}
	}
	return found
}

// addresses reads "start-end" in hexadecimal, zero where that is not what it is.
func addresses(text string) mapping {
	from, to, _ := strings.Cut(text, "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err1 != nil || err2 != nil || end <= start {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end)}
}
