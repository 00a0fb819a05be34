package host

import "testing"

func TestMountedReadOnly(t *testing.T) {
	t.Parallel()
	mounts := []byte(`rootfs / rootfs rw 0 0
/dev/sda1 / ext4 rw,relatime 0 0
cm /etc/gitlab-runner tmpfs ro,relatime 0 0
/dev/sdb /srv/with\040space ext4 ro 0 0
/dev/sdc /over ext4 ro 0 0
/dev/sdd /over ext4 rw 0 0
broken
`)
	for path, want := range map[string]bool{
		"/etc/gitlab-runner/config.toml": true, "/etc/gitlab-runner-2/config.toml": false, "/home/ci/config.toml": false,
		"/srv/with space/config.toml": true, "/over/config.toml": false,
	} {
		if got := MountedReadOnly(mounts, path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	if MountedReadOnly(nil, "/etc") {
		t.Error("without a listing nothing is known to be read-only")
	}
}
