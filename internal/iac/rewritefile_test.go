package iac_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"rekey/internal/iac"
)

var updateRewritten = flag.Bool("update-rewritten", false, "write what the files of testdata/rewrite become")

// TestRewriteFiles: each file of testdata/rewrite becomes the one beside it, or
// stays as it is; what every rewriting promises holds.
func TestRewriteFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/rewrite/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r := iac.Rewrite("deploy/"+filepath.Base(path), raw, iac.RewriteOptions{})
			if *updateRewritten {
				if err := os.WriteFile(path+".want", r.After, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path + ".want")
			if err != nil {
				t.Fatal(err)
			}
			if string(r.After) != string(want) || r.Refused != "" {
				t.Errorf("got\n%s(%s), want\n%s", r.After, r.Refused, want)
			}
			promises(t, r)
		})
	}
}
