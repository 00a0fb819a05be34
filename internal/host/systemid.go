package host

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/lazyregexp"
)

// SystemIDName is the file beside the config that holds the system id.
const SystemIDName = ".runner_system_id"

var systemIDPattern = lazyregexp.New(`^[sr]_[0-9a-zA-Z]{12}$`)

// SystemID reads the .runner_system_id that a gitlab-runner on this config uses,
// and creates nothing. gitlab-runner looks beside the path it was given; where
// the config is a symbolic link it may have been given either end, and two files
// that differ are no answer. problem says why there is none.
func (h Host) SystemID(configPath string) (id rekey.SystemID, problem string) {
	id, problem = readSystemID(filepath.Join(filepath.Dir(configPath), SystemIDName))
	real, err := filepath.EvalSymlinks(configPath)
	if err != nil || filepath.Dir(real) == filepath.Dir(filepath.Clean(configPath)) {
		return id, problem
	}
	other, otherProblem := readSystemID(filepath.Join(filepath.Dir(real), SystemIDName))
	switch {
	case id == "" && other != "":
		return other, ""
	case id != "" && other != "" && id != other:
		return "", fmt.Sprintf("the system id beside %s and the one beside %s differ", configPath, real)
	case id == "" && otherProblem != "":
		return "", problem
	}
	return id, problem
}

func readSystemID(file string) (rekey.SystemID, string) {
	info, err := os.Stat(file) // a pipe is not opened: nobody may write to it
	if err == nil && !info.Mode().IsRegular() {
		return "", file + " is not a regular file"
	}
	f, err := os.Open(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", file + " does not exist: gitlab-runner 15.7 or later makes it at its first start"
	case errors.Is(err, fs.ErrPermission):
		return "", file + " may not be read by this user"
	case err != nil:
		return "", err.Error()
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return "", file + " cannot be read"
	}
	return ParseSystemID(file, data)
}

// WriteSystemID returns the system id beside the config, and makes one first
// where there is none, as gitlab-runner would: derived from the machine id, else
// drawn; mode 0600, the service user's. Only register calls it. The config's
// directory must exist. An id that cannot be read is not replaced.
func (h Host) WriteSystemID(configPath string) (rekey.SystemID, error) {
	file := filepath.Join(filepath.Dir(configPath), SystemIDName)
	if id, _ := h.SystemID(configPath); id != "" {
		return id, nil
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", statError(file, err)
	}
	id, fresh := h.newSystemID(), errors.Is(err, fs.ErrNotExist)
	owner, err := h.OwnerOf(configPath)
	if err != nil {
		return "", err
	}
	if fresh {
		err = durable.WriteNew(file, []byte(id), 0o600)
	} else {
		_, err = durable.Replace(file, old, []byte(id), durable.AllowInPlace)
	}
	if err != nil {
		return "", err
	}
	return id, h.Own(file, owner)
}

// newSystemID is gitlab-runner's own rule: "s_" and the first twelve hex digits
// of HMAC-SHA256(key machine id, "gitlab-runner"), else "r_" and twelve random
// letters and digits.
func (h Host) newSystemID() rekey.SystemID {
	for _, path := range []string{"/var/lib/dbus/machine-id", "/etc/machine-id"} {
		data, err := os.ReadFile(h.at(path))
		if machine := strings.TrimSpace(string(data)); err == nil && machine != "" {
			mac := hmac.New(sha256.New, []byte(machine))
			mac.Write([]byte("gitlab-runner"))
			return rekey.SystemID("s_" + hex.EncodeToString(mac.Sum(nil))[:12])
		}
	}
	return rekey.SystemID("r_" + rand.Text()[:12])
}
