package diagnose

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/findings, docs/json.md and the golden files anew")

const root = "../../"

// TestFindingPagesAreCurrent holds docs/findings to the registry.
func TestFindingPagesAreCurrent(t *testing.T) {
	t.Parallel()
	want := map[string]string{"README.md": indexPage()}
	for _, e := range Registry() {
		want[string(e.Cause)+".md"] = page(e)
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

func page(e Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Generated from internal/diagnose/registrytable.go: go test ./internal/diagnose -update -->\n\n")
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", e.Cause, e.Meaning)
	fmt.Fprintf(&b, "Severity: %s, unless the evidence says otherwise.\n\n", e.Severity)
	if e.Symptom != "" {
		fmt.Fprintf(&b, "## What you see\n\n%s\n\n", e.Symptom)
	}
	for _, part := range []struct{ title, text string }{
		{"What to do", e.Remedy}, {"How doctor knows", e.Known}, {"By hand", e.ByHand},
		{"With rekey", e.ByRekey}, {"Is a user token needed to tell?", e.UserToken},
	} {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", part.title, part.text)
	}
	if links := explained(e); links != "" {
		fmt.Fprintf(&b, "## What it explains\n\nSeen in the same section, these may be its consequence and then stand in its `because`: %s.\n\n", links)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func explained(e Entry) string {
	var links []string
	for _, c := range e.Explains {
		links = append(links, fmt.Sprintf("[%s](%s.md)", c, c))
	}
	return strings.Join(links, ", ")
}

func indexPage() string {
	var b strings.Builder
	b.WriteString("<!-- Generated from internal/diagnose/registrytable.go: go test ./internal/diagnose -update -->\n\n")
	b.WriteString("# Findings\n\nWhat `rekey doctor` can find, and what to do about each.\n\n| cause | meaning | severity |\n|---|---|---|\n")
	for _, e := range Registry() {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", e.Cause, e.Cause, e.Meaning, e.Severity)
	}
	var slugs []string
	for _, c := range Planned() {
		slugs = append(slugs, "`"+string(c)+"`")
	}
	if len(slugs) > 0 {
		fmt.Fprintf(&b, "\nReserved for causes that are not judged yet: %s.\n", strings.Join(slugs, ", "))
	}
	return b.String()
}

// golden compares text with a file, or writes it with -update.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v; want it written by go test ./internal/diagnose -update", err)
		return
	}
	if string(have) != text {
		t.Errorf("%s is stale: run go test ./internal/diagnose -update\ngot:\n%s\nwant:\n%s", path, have, text)
	}
}
