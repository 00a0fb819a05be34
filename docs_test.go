package rekey_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	treePath     = regexp.MustCompile(`(?:^|[^A-Za-z0-9_/.$~-])((?:internal|cmd|docs|tools|bench|deploy|\.ci)/[A-Za-z0-9_./*-]*)`)
	topFile      = regexp.MustCompile(`\x60([A-Z]+(?:\.md)?|[a-z_]+\.go|go\.mod|go\.sum|Makefile)\x60`)
	relativeLink = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
)

// namedPaths returns what a page says is in this repository.
func namedPaths(page, text string) []string {
	var paths []string
	for _, m := range treePath.FindAllStringSubmatch(text, -1) {
		paths = append(paths, strings.TrimRight(m[1], "./"))
	}
	for _, m := range topFile.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], ".") || slices.Contains([]string{"LICENSE", "Makefile"}, m[1]) {
			paths = append(paths, m[1])
		}
	}
	for _, m := range relativeLink.FindAllStringSubmatch(text, -1) {
		paths = append(paths, filepath.Join(filepath.Dir(page), m[1]))
	}
	return paths
}

func TestPathsNamedInDocumentsExist(t *testing.T) {
	t.Parallel()
	for page, text := range pages(t) {
		for _, path := range namedPaths(page, text) {
			if matches, err := filepath.Glob(path); err != nil || len(matches) == 0 {
				t.Errorf("%s names %s, which does not exist", page, path)
			}
		}
	}
}

func TestPathsAreFoundInDocuments(t *testing.T) {
	t.Parallel()
	const text = "See `internal/gone` and docs/adr/9999-gone.md, `GONE.md`, `gone_test.go`,\n(internal/gone/x.go) [a](../gone.md#part) [b](https://example.com/docs/x) /var/internal/x `CI`."
	got := namedPaths("docs/page.md", text)
	want := []string{"internal/gone", "docs/adr/9999-gone.md", "internal/gone/x.go", "GONE.md", "gone_test.go", "gone.md"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	text := pages(t)["ARCHITECTURE.md"]
	missing := map[string]bool{}
	for _, file := range parsedTree(t) {
		if file.dir != "." && !strings.Contains(text, "`"+file.dir+"`") {
			missing[file.dir] = true
		}
	}
	for dir := range missing {
		t.Errorf("ARCHITECTURE.md does not name the package `%s`", dir)
	}
}

// pages returns every Markdown file with its text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := walkTree(func(path string) error {
		if !strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	})
	if err != nil || found["ARCHITECTURE.md"] == "" || found["README.md"] == "" {
		t.Fatalf("reading the pages: %v; found %d", err, len(found))
	}
	return found
}

// machineBound are paths and hosts of one machine, which would break on the next.
// They are put together here so that this file does not hold them.
var machineBound = regexp.MustCompile(`(?:^|[^A-Za-z0-9_.$}-])/` + `work/(?:main|shared|\.[a-z])` + `|/ho` + `me/[a-z]+/go/|proxy` + `\.golang\.org|sum\.` + `golang\.org|registry\.` + `npmjs\.org|deb\.` + `debian\.org`)

func TestNoFileIsBoundToOneMachine(t *testing.T) {
	t.Parallel()
	err := walkTree(func(path string) error {
		text, err := os.ReadFile(path)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := machineBound.FindString(line); found != "" {
				t.Errorf("%s:%d names %q", path, i+1, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("reading the tree: %v", err)
	}
	if !machineBound.MatchString("see /" + "work/main") {
		t.Error("the pattern does not find what it is for")
	}
}
