package simrunner

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"rekey"
)

var systemIDPattern = regexp.MustCompile(`^[sr]_[0-9a-zA-Z]{12}$`)

// loadSystemID reads .runner_system_id beside the config; where it is missing or
// not of the right shape, it makes one and saves it, as gitlab-runner does from
// 15.7 on. A file that cannot be saved costs a warning, not the start.
func loadSystemID(configPath string, log *lineLog) rekey.SystemID {
	file := filepath.Join(filepath.Dir(configPath), ".runner_system_id")
	data, err := os.ReadFile(file)
	if id := strings.TrimSpace(string(data)); err == nil && systemIDPattern.MatchString(id) {
		return rekey.SystemID(id)
	}
	id := newSystemID()
	if err := os.WriteFile(file, []byte(id), 0o600); err != nil {
		log.warn("Couldn't save new system ID on state file. In order to reliably identify this runner in jobs with a known identifier, please ensure there is a text file at the location specified in `state_file` with the contents of `system_id`. Example: echo \"...\" > \"...\"", field{"state_file", file}, field{"system_id", id})
		return id
	}
	log.info("Created missing unique system ID", field{"system_id", id})
	return id
}

// newSystemID derives "s_…" from the machine id, else draws "r_…".
func newSystemID() rekey.SystemID {
	for _, path := range []string{"/var/lib/dbus/machine-id", "/etc/machine-id"} {
		data, err := os.ReadFile(path)
		if id := strings.TrimSpace(string(data)); err == nil && id != "" {
			mac := hmac.New(sha256.New, []byte(id))
			mac.Write([]byte("gitlab-runner"))
			return rekey.SystemID("s_" + hex.EncodeToString(mac.Sum(nil))[:12])
		}
	}
	return rekey.SystemID("r_" + rand.Text()[:12])
}
