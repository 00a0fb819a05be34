package iac

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFingerprintsKnowTheRepository: a baseline holds however the path was given.
func TestFingerprintsKnowTheRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{".git", "infra"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "infra", "r.sh")
	if err := os.WriteFile(file, []byte("gitlab-runner register --registration-token \"$T\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	prints := map[string]bool{}
	for _, given := range []string{dir, filepath.Join(dir, "infra"), file, dir + "/infra/../infra/./r.sh"} {
		found, _, err := Scan{Paths: []string{given}}.Run(t.Context())
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %d findings, %v, want one", given, len(found), err)
		}
		prints[found[0].Fingerprint] = true
	}
	if len(prints) != 1 {
		t.Errorf("%d fingerprints of one finding, want one", len(prints))
	}
}
