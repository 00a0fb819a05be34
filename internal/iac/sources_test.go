package iac_test

import (
	"os"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/iac"
)

// sourcesVariable names folders with source code that holds no token of anybody,
// with blanks between: hashes, base64, lock files. sourcesExcept are the files of
// which somebody looked at every finding, written as in .gitignore.
const (
	sourcesVariable = "REKEY_SOURCES"
	sourcesExcept   = "REKEY_SOURCES_EXCEPT"
)

// scanners have tokens for fixtures.
var scanners = []string{"*gitleaks*", "*trufflehog*", "*betterleaks*", "*detect?secrets*", "*detect_secrets*", "*noseyparker*", "*kingfisher*", "*secretlint*", "*ggshield*", "*ripsecrets*"}

// TestSourcesHoldNoToken reads a gigabyte of source code at least, and lists every
// finding: none is an error.
func TestSourcesHoldNoToken(t *testing.T) {
	t.Parallel()
	paths := strings.Fields(os.Getenv(sourcesVariable))
	if len(paths) == 0 {
		t.Skipf("*** NO SOURCES: set %s to folders with a gigabyte of source code, or run `make sources SOURCES='DIR…'` ***", sourcesVariable)
	}
	scan := iac.Scan{Paths: paths, NoIgnore: true, Excludes: append(scanners, strings.Fields(os.Getenv(sourcesExcept))...)}
	findings, summary, err := scan.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, %d MB; skipped %v; %d held a literal and were examined", summary.Files, summary.Bytes/1e6, summary.Skipped, summary.Examined)
	if summary.Bytes < 1e9 {
		t.Errorf("%d MB were read, want 1,000 at least for the answer to say something", summary.Bytes/1e6)
	}
	for _, f := range findings {
		if t.Logf("%s:%d: %s %s: %s", f.Path, f.Line, f.Severity, f.Slug, f.Evidence); f.Severity.AtLeast(rekey.Failing) {
			t.Errorf("%s:%d: an error-level finding in source code: look at it, and name the file in %s when it is right", f.Path, f.Line, sourcesExcept)
		}
	}
}
