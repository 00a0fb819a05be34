package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
)

// testHost sees nothing of the real machine.
func testHost(t testing.TB) Host {
	root := t.TempDir()
	return Host{
		GOOS: "linux", UID: 1000, Home: filepath.Join(root, "home/me"), Dir: root, Root: root,
		Proc: filepath.Join(root, "proc"), Now: func() time.Time { return time.Unix(2_000_000_000, 0) },
		Getenv: func(string) string { return "" }, HomeOf: func(string) string { return "" },
	}
}

// put writes a file and the directories above it.
func put(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func link(t testing.TB, target, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStandardConfigs(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	system := put(t, h.at("/etc/gitlab-runner/config.toml"), "# s\n")
	user := put(t, filepath.Join(h.Home, ".gitlab-runner/config.toml"), "# u\n")
	h.HomeOf = func(name string) string { return h.at("/home/" + name) }
	service := put(t, h.at("/home/gitlab-runner/config.toml"), "# i\n")
	link(t, system, h.at("/srv/gitlab-runner/config/config.toml")) // the same file: once only
	invoker := put(t, h.at("/home/bob/.gitlab-runner/config.toml"), "# b\n")
	check := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, c := range h.StandardConfigs() {
			got = append(got, c.Path)
			if c.Context == "" || c.Problem != "" {
				t.Errorf("%s: candidate %+v, want a context and no problem", what, c)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: configs %v, want %v", what, got, want)
		}
	}
	check("a user", user, system, service)
	h.UID = 0
	h.Getenv = func(name string) string { return map[string]string{"SUDO_USER": "bob"}[name] }
	check("root by sudo", system, user, invoker, service)
	named := put(t, h.at("/opt/c.toml"), "# n\n")
	h.Getenv = func(name string) string { return map[string]string{"CONFIG_FILE": "opt/c.toml"}[name] }
	check("CONFIG_FILE", named, system, user, service)
}

func TestStandardConfigsOfWindowsAndWithoutHome(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	own := put(t, filepath.Join(h.Dir, "config.toml"), "# w\n")
	if got := h.StandardConfigs(); len(got) != 0 {
		t.Errorf("with a home: %v, want none", got)
	}
	h.Home = ""
	if got := h.StandardConfigs(); len(got) != 1 || got[0].Path != own || got[0].Context != WorkingDir {
		t.Errorf("without a home: %v, want %s", got, own)
	}
	h.GOOS = "windows"
	if got := h.StandardConfigs(); len(got) != 1 || got[0].Path != own {
		t.Errorf("windows: %v, want %s", got, own)
	}
}

func TestReadRefusesWithAHint(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	dir := t.TempDir()
	link(t, filepath.Join(dir, "b"), filepath.Join(dir, "a"))
	link(t, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	huge := put(t, filepath.Join(dir, "huge"), "x")
	if err := os.Truncate(huge, MaxConfig+1); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		kind       rekey.Kind
		says       string
	}{
		{"missing", filepath.Join(dir, "none"), rekey.KindNotFound, "does not exist"},
		{"below a file", filepath.Join(huge, "config.toml"), rekey.KindNotFound, "not a directory"},
		{"dangling", link(t, "gone", filepath.Join(dir, "dangling")), rekey.KindNotFound, "symbolic link to gone"},
		{"loop", filepath.Join(dir, "a"), rekey.KindInvalid, "circle"},
		{"directory", dir, rekey.KindInvalid, "is a directory"},
		{"huge", huge, rekey.KindInvalid, "larger than 64 MiB"},
		{"empty", put(t, filepath.Join(dir, "empty"), ""), rekey.KindInvalid, "is empty"},
		{"device", "/dev/null", rekey.KindInvalid, "not a regular file"},
	}
	for _, tc := range tests {
		_, err := h.Read(tc.path)
		if err == nil || rekey.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: error %v of kind %q, want %q of kind %q", tc.name, err, rekey.KindOf(err), tc.says, tc.kind)
		}
		if err != nil && rekey.HintOf(err) == "" && tc.name != "below a file" && tc.name != "device" {
			t.Errorf("%s: error %v has no hint", tc.name, err)
		}
	}
	if _, err := h.Read(filepath.Join(dir, "empty")); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty: error %v, want ErrEmpty", err)
	}
}

func TestReadUnreadable(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	path := put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := testHost(t).Read(path); rekey.KindOf(err) != rekey.KindDenied || rekey.HintOf(err) == "" {
		t.Errorf("error %v of kind %q, want denied with a hint", err, rekey.KindOf(err))
	}
}

func TestReadFollowsLinks(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real := put(t, filepath.Join(dir, "real/config.toml"), "\ufeffconcurrent = 1\r\n")
	path := link(t, "real/config.toml", filepath.Join(dir, "config.toml"))
	f, err := testHost(t).Read(path)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(real)
	uid, gid := ownerOf(info)
	if f.Path != path || f.RealPath != real || string(f.Data) != "\ufeffconcurrent = 1\r\n" || f.Mode != info.Mode() ||
		!f.ModTime.Equal(info.ModTime()) || f.UID != uid || f.GID != gid || f.Generated != "" {
		t.Errorf("read %+v, want the file at %s byte for byte", f, real)
	}
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"# Ansible managed: config.toml.j2 modified on 2024\nconcurrent = 1\n", "Ansible"},
		{"#\n# {{ ansible_managed }}\n#\n", "Ansible"},
		{"# This file is managed by Puppet. DO NOT EDIT.\n", "Puppet"},
		{"# MANAGED BY PUPPET\n", "Puppet"},
		{"# Generated by Chef for host\n", "Chef"},
		{"# This file is managed by Salt\n", "Salt"},
		{"# generated by NixOS\n", "NixOS"},
		{"# Generated by Helm\n", "Helm"},
		{"# rendered by Terraform\n", "Terraform"},
		{"\ufeff## written by cloud-init\n", "user-data"},
		{"# Generated by deploy.sh\n", "a generator that its header speaks of"},
		{"# Autogenerated from runners.yml\n", "a generator that its header speaks of"},
		{"# This file is managed by the platform team's tool\n", "a tool that its header speaks of"},
		{"# DO NOT EDIT\n", "a tool that its header speaks of"},
		{"[[runners]]\ntoken = \"__REPLACED_BY_USER_DATA__\"\n", "user-data"},
		{"concurrent = 1\n# Ansible managed\n", ""},
		{"# our runners; ask ops before you change this\nconcurrent = 1\n", ""},
		{"# the token was generated by hand\n", ""},
		{"# we do not edit the other file here\nconcurrent = 1\n", ""},
	}
	h := testHost(t)
	for _, tc := range tests {
		f, err := h.Read(put(t, filepath.Join(t.TempDir(), "config.toml"), tc.text))
		if err != nil || f.Generated != tc.want {
			t.Errorf("%q: generated %q (%v), want %q", tc.text, f.Generated, err, tc.want)
		}
	}
}

func TestGeneratedByPlace(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	root, err := filepath.EvalSymlinks(h.Root)
	if err != nil {
		t.Fatal(err)
	}
	h.Root = root
	put(t, h.at("/cm/..2026_01_01/config.toml"), "concurrent = 1\n")
	link(t, "..2026_01_01", h.at("/cm/..data"))
	link(t, "..data/config.toml", h.at("/cm/config.toml"))
	put(t, h.at("/nix/store/abc-config.toml"), "concurrent = 1\n")
	link(t, h.at("/nix/store/abc-config.toml"), h.at("/etc/gitlab-runner/config.toml"))
	put(t, h.at("/configmaps/config.toml"), "concurrent = 1\n")
	put(t, h.at("/home/gitlab-runner/.gitlab-runner/config.toml"), "concurrent = 1\n")
	for path, want := range map[string]string{
		"/cm/config.toml":                                "a Kubernetes ConfigMap or Secret",
		"/etc/gitlab-runner/config.toml":                 "NixOS",
		"/home/gitlab-runner/.gitlab-runner/config.toml": "Helm",
		"/configmaps/config.toml":                        "",
	} {
		if f, err := h.Read(h.at(path)); err != nil || f.Generated != want {
			t.Errorf("%s: generated %q (%v), want %q", path, f.Generated, err, want)
		}
	}
}

// gitlab-runner truncates its config and then writes it: a reader waits for that.
func TestAConfigThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	path := put(t, filepath.Join(h.Dir, "config.toml"), "")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	h.Now = func() time.Time { // asked once the file was found empty
		put(t, path, "concurrent = 2\n")
		return info.ModTime()
	}
	if f, err := h.Read(path); err != nil || string(f.Data) != "concurrent = 2\n" {
		t.Errorf("got %q, %v, want what was written", f.Data, err)
	}
}
