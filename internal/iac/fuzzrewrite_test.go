package iac

import (
	"bytes"
	"io"
	"testing"
)

// FuzzRewrite: no text makes a rewriting fall over, touch what it was given, or
// change its own result a second time; what is left is what a further audit finds,
// and a literal that was taken out is gone.
func FuzzRewrite(f *testing.F) {
	for _, c := range fixtures {
		for i, path := range rewritePaths {
			if formatOf(path, nil) == formatOf(c.path, []byte(c.text)) {
				f.Add(uint8(i), []byte(c.text))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		if len(text) > 1<<14 {
			return
		}
		path := rewritePaths[int(which)%len(rewritePaths)]
		before := bytes.Clone(text)
		r := Rewrite(path, text, RewriteOptions{})
		if !bytes.Equal(before, text) {
			t.Fatal("the text was changed")
		}
		if err := r.Diff(io.Discard); err != nil {
			t.Fatal(err)
		}
		if !r.Changed() {
			return
		}
		if again := Rewrite(path, r.After, RewriteOptions{}); again.Changed() {
			t.Errorf("%s: a second rewriting changes it again:\n%q\n%q\n%q", path, before, r.After, again.After)
		}
		if left := Examine(path, r.After, Target{}); len(left) != len(r.Left) {
			t.Errorf("%s: %d findings, want the %d that were left", path, len(left), len(r.Left))
		}
	})
}

var rewritePaths = []string{"a.sh", "b.yml", "c.tf", "d.json", "Dockerfile", "e.toml", ".env", "f.ps1", "g.py", "Makefile", "h.nix"}
