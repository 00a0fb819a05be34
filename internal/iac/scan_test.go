package iac

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rekey"
)

// plant writes files below a new folder; a name that ends in a slash is a folder.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func scanned(t *testing.T, s Scan) (map[string]int, Summary) {
	t.Helper()
	findings, summary, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, f := range findings {
		if f.Severity.AtLeast(rekey.Warning) {
			rel, _ := filepath.Rel(s.Paths[0], f.Path)
			found[filepath.ToSlash(rel)]++
		}
	}
	return found, summary
}

const registering = "gitlab-runner register --registration-token $T\n"

func names(found map[string]int) []string {
	var list []string
	for name := range found {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func TestWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{
		"a.sh": registering, "b/c.sh": registering, "vendor/d.sh": registering, "out/e.sh": registering, "out/keep.sh": registering,
		"b/deep/x/f.sh": registering, "b/deep/y.sh": registering, "x.bin": "\x7fELF\x00" + registering, "y.zip": registering, "b/.gitignore": "deep/x\n!deep/y.sh\n",
		".gitignore": "# note\nout/*\n!out/keep.sh\nb/**/y.sh\n/nothing\n",
	})
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	found, summary := scanned(t, Scan{Paths: []string{dir}, Excludes: []string{"vendor/"}})
	if want := []string{"a.sh", "b/c.sh", "b/deep/y.sh", "out/keep.sh"}; !slices.Equal(names(found), want) {
		t.Errorf("found in %v, want %v", names(found), want)
	}
	for reason, want := range map[string]int{skippedBinary: 1, skippedArchive: 1, skippedExcluded: 1, skippedIgnored: 2, skippedLink: 1} {
		if summary.Skipped[reason] != want {
			t.Errorf("%d skipped as %s, want %d", summary.Skipped[reason], reason, want)
		}
	}
	found, _ = scanned(t, Scan{Paths: []string{dir}, NoIgnore: true})
	if len(found) != 7 {
		t.Errorf("with NoIgnore found in %v, want 7 files", names(found))
	}
}

// TestTrackedIsNotIgnored: a file that was committed in spite of .gitignore is where
// secrets hide.
func TestTrackedIsNotIgnored(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("git is not here, and CI must have it")
		}
		t.Skip("*** NO GIT: what it tracks is not tested ***")
	}
	dir := plant(t, map[string]string{"secret.sh": registering, "sub/other.sh": registering, ".gitignore": "*.sh\n"})
	for _, args := range [][]string{{"init", "-q"}, {"add", "-f", "secret.sh"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	found, _ := scanned(t, Scan{Paths: []string{dir}})
	if want := []string{"secret.sh"}; !slices.Equal(names(found), want) {
		t.Errorf("found in %v, want %v", names(found), want)
	}
	found, _ = scanned(t, Scan{Paths: []string{filepath.Join(dir, "sub")}})
	if len(found) != 0 {
		t.Errorf("below the root found in %v, want nothing: .gitignore above says so", names(found))
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("{a: ", 20000) + "REGISTRATION_TOKEN"
	dir := plant(t, map[string]string{
		"utf8.sh": "\xff\xfe\xc3" + registering, "a.tf": "gitlab {{{ \x01 " + registering, "deep.yaml": deep + "\n" + registering, "deep.json": strings.Repeat("[", 100000) + "\"gitlab-runner\"",
		"deep.tf": "a = " + strings.Repeat("(", 5000) + "\"REGISTRATION_TOKEN gitlab\"", "nest.sh": strings.Repeat("$(", 3000) + registering, "empty.sh": "",
		"alias.yaml": "a: &a [gitlab-runner]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
		"utf16.ps1":  utf16le("# gitlab\r\n.\\gitlab-runner.exe register --registration-token $T\r\n"),
	})
	denied := filepath.Join(dir, "denied.sh")
	if err := os.WriteFile(denied, []byte(registering), 0o000); err != nil {
		t.Fatal(err)
	}
	found, summary := scanned(t, Scan{Paths: []string{dir}})
	for _, name := range []string{"a.tf", "utf16.ps1"} {
		if found[name] == 0 {
			t.Errorf("nothing found in %s", name)
		}
	}
	if os.Geteuid() != 0 && (summary.Skipped[skippedDenied] != 1 || !slices.Equal(summary.Unreadable, []string{denied})) {
		t.Errorf("unreadable: %v, want %s", summary.Unreadable, denied)
	}
	if _, _, err := (Scan{Paths: []string{filepath.Join(dir, "gone")}}).Run(t.Context()); rekey.KindOf(err) != rekey.KindNotFound {
		t.Errorf("a path that is not there: got %v, want not found", err)
	}
}

func utf16le(text string) string {
	out := []byte{0xff, 0xfe}
	for _, c := range []byte(text) {
		out = append(out, c, 0)
	}
	return string(out)
}

// TestVanishedFile: what is gone between listing and reading is counted.
func TestVanishedFile(t *testing.T) {
	t.Parallel()
	r := &run{search: newSearcher(), summary: Summary{Skipped: map[string]int{}}}
	(&reader{run: r, buffer: make([]byte, chunkSize)}).file(filepath.Join(t.TempDir(), "gone.sh"))
	if r.summary.Skipped[skippedVanished] != 1 {
		t.Errorf("counted %v, want one vanished", r.summary.Skipped)
	}
}

// TestLargeFiles: a file longer than what is parsed is read in chunks; tokens on the
// seams and in endless lines are found once, at their line.
func TestLargeFiles(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat("0123456789abcdef\n", chunkSize/17+1)
	for _, shift := range []int{0, 24, 25, 200} {
		text := []byte(filler[:chunkSize-shift-1] + "\n" + secretToken + "\n" + strings.Repeat(filler, 12) + "x" + strings.Repeat(" ", chunkSize) + secretToken + "Z" + strings.Repeat(" ", 3*chunkSize))
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "big.yaml"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		findings, summary, err := (Scan{Paths: []string{dir}}).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var lines []int
		said := 0
		for _, f := range findings {
			if f.Slug == NotParsed {
				said++
				continue
			}
			lines = append(lines, f.Line)
		}
		if said != 1 {
			t.Errorf("shift %d: %d times it is said that the file was not parsed, want once", shift, said)
		}
		slices.Sort(lines)
		want := []int{1 + bytes.Count(text[:bytes.Index(text, []byte(secretToken))], []byte("\n")), 1 + bytes.Count(text, []byte("\n"))}
		if !slices.Equal(lines, want) || summary.Bytes != int64(len(text)) {
			t.Errorf("shift %d: found at lines %v of %d bytes, want %v of %d", shift, lines, summary.Bytes, want, len(text))
		}
	}
}

// TestLargeFilesAreParsed: up to a few megabytes a file is read in its own language;
// one with more words than a tree has room for is not.
func TestLargeFilesAreParsed(t *testing.T) {
	t.Parallel()
	token := "  registration_token = gitlab_group.g.runners_token\n}\n"
	for name, c := range map[string]struct {
		text   string
		parsed bool
	}{
		"sparse.tf":   {"resource \"gitlab_runner\" \"r\" {\n" + token + strings.Repeat("# "+strings.Repeat("x", 100)+"\n", 20_000), true},
		"dense.tf":    {"resource \"gitlab_runner\" \"r\" {\n" + token + "locals {\n  x = [" + strings.Repeat("1,", 800_000) + "]\n}\n", false},
		"one-line.js": {"{\"runnerRegistrationToken\": \"\", \"x\": [" + strings.Repeat("{\"é\": 1},", 20_000) + "{}]}", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			name = strings.Replace(name, ".js", ".json", 1)
			findings, _, err := (Scan{Paths: []string{plant(t, map[string]string{name: c.text})}}).Run(t.Context())
			if err != nil || !has(findings, Legacy, rekey.Warning) || slices.ContainsFunc(findings, func(f Finding) bool { return f.Slug == NotParsed }) == c.parsed {
				t.Errorf("%v: %+v, want the flow found and parsed %v", err, findings, c.parsed)
			}
		})
	}
}

// endless is one line of blanks.
type endless struct{}

func (endless) ReadAt(p []byte, _ int64) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestMemoryIsBounded: 64 MB in one line grows the heap by little.
//
// It runs alone: it counts what the whole process allocates.
func TestMemoryIsBounded(t *testing.T) {
	r := &run{search: newSearcher(), summary: Summary{Skipped: map[string]int{}}}
	reader := &reader{run: r, buffer: make([]byte, chunkSize)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	reader.large("one-line", io.NewSectionReader(endless{}, 0, 1<<26), math.MaxInt64, 0)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d MB were allocated, want less than 16", grown>>20)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 200 {
		files[fmt.Sprintf("d%d/a.sh", i)] = registering
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (Scan{Paths: []string{plant(t, files)}}).Run(ctx); err == nil {
		t.Error("no error after an interruption")
	}
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	old := Examine("a.sh", []byte(registering), Target{})
	var file bytes.Buffer
	if err := WriteBaseline(&file, NewReport(old, Summary{}, Target{})); err != nil {
		t.Fatal(err)
	}
	known, err := ReadBaseline(&file)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReport(Examine("a.sh", []byte("# moved down\n\n"+registering+registering), Target{}), Summary{}, Target{})
	r.Known(known)
	if len(r.Findings) != 1 || r.Findings[0].Line != 4 || r.Summary.Baseline != 1 || r.Summary.Warning != 1 {
		t.Errorf("got %+v, want the new one of two equal lines", r)
	}
	if _, err := ReadBaseline(strings.NewReader("{}")); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("a file of another kind: got %v, want invalid", err)
	}
}
