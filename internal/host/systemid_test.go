package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
)

func TestSystemIDReadsAndNeverCreates(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	tests := []struct {
		text    string
		id      rekey.SystemID
		problem string
	}{
		{"s_0123456789ab", "s_0123456789ab", ""},
		{" r_CANARYabcdef\r\n", "r_CANARYabcdef", ""},
		{"", "", "does not hold a system id"},
		{"s_0123456789abc", "", "does not hold a system id"},
		{"x_0123456789ab", "", "does not hold a system id"},
		{"s_0123456789a\n", "", "does not hold a system id"},
	}
	for _, tc := range tests {
		dir := t.TempDir()
		put(t, filepath.Join(dir, SystemIDName), tc.text)
		id, problem := h.SystemID(filepath.Join(dir, "config.toml"))
		if id != tc.id || !strings.Contains(problem, tc.problem) || (problem == "") != (tc.problem == "") {
			t.Errorf("%q: %q, %q; want %q, %q", tc.text, id, problem, tc.id, tc.problem)
		}
	}
	dir := t.TempDir()
	if id, problem := h.SystemID(filepath.Join(dir, "config.toml")); id != "" || !strings.Contains(problem, "does not exist") {
		t.Errorf("without a file: %q, %q", id, problem)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("reading made %v", entries)
	}
}

func TestSystemIDOfALinkedConfig(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "real/config.toml"), "x")
	path := link(t, "../real/config.toml", filepath.Join(dir, "given/config.toml"))
	put(t, filepath.Join(dir, "real", SystemIDName), "s_000000000000")
	if id, problem := h.SystemID(path); id != "s_000000000000" || problem != "" {
		t.Errorf("beside the real config: %q, %q", id, problem)
	}
	put(t, filepath.Join(dir, "given", SystemIDName), "s_000000000000")
	if id, _ := h.SystemID(path); id != "s_000000000000" {
		t.Errorf("the same on both sides: %q", id)
	}
	put(t, filepath.Join(dir, "given", SystemIDName), "s_111111111111")
	if id, problem := h.SystemID(path); id != "" || !strings.Contains(problem, "differ") {
		t.Errorf("two that differ: %q, %q; want none and why", id, problem)
	}
}

func TestWriteSystemID(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	put(t, h.at("/etc/machine-id"), "0123456789abcdef0123456789abcdef\n")
	config := put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	file := filepath.Join(filepath.Dir(config), SystemIDName)
	// as: printf gitlab-runner | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
	const derived = "s_ee3af03959fe"
	id, err := h.WriteSystemID(config)
	if err != nil || id != derived {
		t.Fatalf("wrote %q, %v; want %s", id, err, derived)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v; want mode 0600", info, err)
	}
	if got, _ := h.SystemID(config); got != id {
		t.Errorf("read back %q, want %q", got, id)
	}
	put(t, file, "s_CANARY000000")
	if got, err := h.WriteSystemID(config); got != "s_CANARY000000" || err != nil {
		t.Errorf("with an id there: %q, %v; want it kept", got, err)
	}
	put(t, file, "nonsense")
	if got, err := h.WriteSystemID(config); got != derived || err != nil {
		t.Errorf("with nonsense there: %q, %v; want %s", got, err, derived)
	}
	h.Root = t.TempDir()
	config = put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	if got, err := h.WriteSystemID(config); err != nil || !systemIDPattern.MatchString(string(got)) || got[0] != 'r' {
		t.Errorf("without a machine id: %q, %v; want r_ and twelve", got, err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	path := filepath.Join(t.TempDir(), "a/b/config.toml")
	if err := h.Create(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %v", p, info, err, want)
		}
	}
	if err := h.Create(path, []byte("y")); rekey.KindOf(err) != rekey.KindConflict {
		t.Errorf("a second time: %v, want a conflict", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "x" {
		t.Errorf("the file holds %q, want what was there", data)
	}
}

func TestNewFilesBelongToTheService(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	h := testHost(t)
	dir := t.TempDir()
	if err := os.Chown(dir, 4242, 4243); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "sub/config.toml")
	if owner, err := h.OwnerOf(config); err != nil || owner != (Owner{4242, 4243}) {
		t.Errorf("owner %v, %v; want that of the directory", owner, err)
	}
	if err := h.Create(config, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.WriteSystemID(config); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{config, filepath.Dir(config), filepath.Join(dir, "sub", SystemIDName)} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if uid, gid := ownerOf(info); uid != 4242 || gid != 4243 {
			t.Errorf("%s belongs to %d:%d, want 4242:4243", path, uid, gid)
		}
	}
}
