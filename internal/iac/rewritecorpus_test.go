package iac_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/internal/iac"
)

// TestCorpusRewritten rewrites real files: what is written parses, a second time
// nothing changes, a further audit reports what was said to be left, and no literal
// that was taken out is in the text or in what is shown.
func TestCorpusRewritten(t *testing.T) {
	t.Parallel()
	dir, all := readCorpus(t)
	fixable, fixed, changed := 0, 0, 0
	for _, e := range all {
		raw, err := os.ReadFile(filepath.Join(dir, "files", e.file))
		if err != nil {
			t.Fatal(err)
		}
		r := iac.Rewrite(e.file, raw, iac.RewriteOptions{})
		if dump := os.Getenv("REKEY_DUMP"); dump != "" {
			dumpRewriting(t, dump, r)
		}
		n := 0
		for _, f := range iac.Examine(e.file, raw, iac.Target{}) {
			if f.Fixable && f.Suppressed == "" {
				n++
			}
		}
		fixable, fixed = fixable+n, fixed+r.Fixed
		t.Logf("%2d of %2d fixed %s %s", r.Fixed, n, e.file, r.Refused)
		if r.Changed() {
			changed++
			promises(t, r)
		}
	}
	t.Logf("%d of %d fixable findings fixed (%s); %d of %d files changed", fixed, fixable, percent(fixed, fixable), changed, len(all))
}

// promises holds a rewriting to what every one promises.
func promises(t *testing.T, r iac.Rewriting) {
	t.Helper()
	second := iac.Rewrite(r.Path, r.After, iac.RewriteOptions{})
	if second.Changed() {
		var b strings.Builder
		_ = second.Diff(&b)
		t.Errorf("%s: a second rewriting changes it again:\n%s", r.Path, b.String())
	}
	again := iac.Examine(r.Path, r.After, iac.Target{})
	if len(again) != len(r.Left) {
		t.Errorf("%s: a further audit finds %d, want the %d that were left", r.Path, len(again), len(r.Left))
	}
	var shown strings.Builder
	if err := r.Diff(&shown); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Secrets() {
		if bytes.Contains(r.After, []byte(s.Reveal())) || strings.Contains(shown.String(), s.Reveal()) {
			t.Errorf("%s: a literal that was taken out is still in the text or shown", r.Path)
		}
	}
}

func dumpRewriting(t *testing.T, dir string, r iac.Rewriting) {
	t.Helper()
	var b strings.Builder
	_ = r.Diff(&b)
	for _, n := range r.Notes {
		b.WriteString("NOTE " + n + "\n")
	}
	if r.Refused != "" {
		b.WriteString("REFUSED " + r.Refused + "\n")
	}
	if b.Len() > 0 {
		_ = os.WriteFile(filepath.Join(dir, filepath.Base(r.Path)+".diff"), []byte(b.String()), 0o600)
		_ = os.WriteFile(filepath.Join(dir, filepath.Base(r.Path)), r.After, 0o600)
	}
}
