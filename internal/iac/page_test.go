package iac

import (
	goflag "flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = goflag.Bool("update", false, "write docs/audit anew")

const root = "../../"

// TestFindingPagesAreCurrent holds docs/audit to the registry.
func TestFindingPagesAreCurrent(t *testing.T) {
	t.Parallel()
	want := map[string]string{"README.md": indexPage()}
	for _, e := range Registry() {
		want[string(e.Slug)+".md"] = page(e)
	}
	for name, text := range want {
		golden(t, root+DocsDir+name, text)
	}
	entries, err := os.ReadDir(root + DocsDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s%s has no entry in the registry, want it removed", DocsDir, e.Name())
		}
	}
}

// TestEveryEntryIsComplete: a finding without words helps nobody.
func TestEveryEntryIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[Slug]bool{}
	for _, e := range Registry() {
		for name, text := range map[string]string{"meaning": e.Meaning, "why": e.Why, "remedy": e.Remedy, "known": e.Known, "severity": string(e.Severity)} {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s has no %s", e.Slug, name)
			}
		}
		if e.Fixable != (e.Fix != "") {
			t.Errorf("%s: fixable %v, and says %q of --fix", e.Slug, e.Fixable, e.Fix)
		}
		if seen[e.Slug] {
			t.Errorf("%s stands twice in the registry", e.Slug)
		}
		seen[e.Slug] = true
	}
}

const pageHead = "<!-- Generated from internal/iac/registrytable.go: go test ./internal/iac -update -->\n\n"

func page(e Entry) string {
	fix := ""
	if e.Fixable {
		fix = "## What --fix does\n\n" + e.Fix + "\n\n"
	}
	return fmt.Sprintf("%s# %s\n\n%s\n\nSeverity: %s, unless the version or the place says otherwise. In policies: `%s`.\n\n## Why it matters\n\n%s\n\n## What to do\n\n%s\n\n## How the audit knows\n\n%s\n\n%s## To accept one\n\n`rekey:ignore %s reason` in a comment on the line or alone on the line above; many at once with `rekey audit --write-baseline FILE`.\n",
		pageHead, e.Slug, e.Meaning, e.Severity, e.Code(), e.Why, e.Remedy, e.Known, fix, e.Slug)
}

func indexPage() string {
	var b strings.Builder
	b.WriteString(pageHead + "# What the audit finds\n\nThe slugs of `rekey audit`. They are never reused.\n\n| slug | meaning | severity |\n|---|---|---|\n")
	for _, e := range Registry() {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", e.Slug, e.Slug, e.Meaning, e.Severity)
	}
	return b.String()
}

// golden compares text with a file, or writes it with -update.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(root+DocsDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != text {
		t.Errorf("%s is not what the registry says (%v): run go test ./internal/iac -update", path, err)
	}
}
