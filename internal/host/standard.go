package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"rekey"
)

// Context says which process reads a config that lies where it lies.
type Context string

// The contexts of a config.
const (
	FromEnvironment Context = "named by CONFIG_FILE"
	SystemMode      Context = "system mode: a service of root, or gitlab-runner under sudo"
	UserMode        Context = "user mode: gitlab-runner of this user"
	InvokingUser    Context = "user mode: gitlab-runner of the user who called sudo"
	ServiceUser     Context = "a service that was installed for the user gitlab-runner"
	ContainerVolume Context = "a container's /etc/gitlab-runner, on a volume of this host"
	WorkingDir      Context = "gitlab-runner in the working directory"
	WindowsService  Context = "the Windows service, where the documentation puts it"
)

// Expected reports whether a config is to be expected there: one that cannot be
// looked at is then worth an error. The others are closed to most users whether
// they exist or not.
func (c Context) Expected() bool {
	return c == FromEnvironment || c == SystemMode || c == UserMode || c == InvokingUser
}

// Candidate is a config that exists in a standard place.
type Candidate struct {
	Path    string
	Context Context
	Problem string // why it could not be looked at; "" when it is there
}

// StandardConfigs returns the configs in the places where gitlab-runner looks or
// its documentation puts them, the most likely first, each file once. A place
// that may not be looked into is returned with its problem.
func (h Host) StandardConfigs() []Candidate {
	var found []Candidate
	var seen []os.FileInfo
	for _, c := range h.Places() {
		info, err := os.Stat(c.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir):
			continue
		case err != nil:
			c.Problem = err.Error()
		case contains(seen, info):
			continue
		default:
			seen = append(seen, info)
		}
		found = append(found, c)
	}
	return found
}

// DefaultConfig returns where gitlab-runner, run by this user, would keep a new
// config: the first of the standard places, whether it exists or not.
func (h Host) DefaultConfig() (string, error) {
	places := h.Places()
	if len(places) == 0 {
		return "", rekey.Errorf(rekey.KindNotFound, "this user has no standard place for a config").WithHint("name a file with --config")
	}
	return places[0].Path, nil
}

func contains(seen []os.FileInfo, info os.FileInfo) bool {
	for _, other := range seen {
		if os.SameFile(other, info) {
			return true
		}
	}
	return false
}

// Places returns where gitlab-runner looks or its documentation puts a config, the
// most likely first, whether there is one or not.
func (h Host) Places() []Candidate {
	var all []Candidate
	add := func(context Context, parts ...string) {
		if parts[0] != "" {
			all = append(all, Candidate{Path: filepath.Join(parts...), Context: context})
		}
	}
	if path := h.Getenv("CONFIG_FILE"); path != "" {
		add(FromEnvironment, h.absolute(path))
	}
	if h.GOOS == "windows" {
		add(WindowsService, h.at(`C:\GitLab-Runner`), "config.toml")
		add(WindowsService, h.at(`C:\config.toml`))
		add(WorkingDir, h.Dir, "config.toml")
		return all
	}
	system := h.at("/etc/gitlab-runner/config.toml")
	if h.UID == 0 {
		add(SystemMode, system)
	}
	add(UserMode, h.Home, ".gitlab-runner", "config.toml")
	if h.UID != 0 {
		add(SystemMode, system)
	}
	if name := h.Getenv("SUDO_USER"); name != "" && name != "root" {
		add(InvokingUser, h.HomeOf(name), ".gitlab-runner", "config.toml")
	}
	service := h.HomeOf("gitlab-runner")
	add(ServiceUser, service, "config.toml")
	add(ServiceUser, service, ".gitlab-runner", "config.toml")
	add(ContainerVolume, h.at("/srv/gitlab-runner/config/config.toml"))
	add(ContainerVolume, h.at("/var/lib/docker/volumes/gitlab-runner-config/_data/config.toml"))
	if h.Home == "" {
		add(WorkingDir, h.Dir, "config.toml")
	}
	return all
}

func (h Host) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(h.Dir, path)
}
