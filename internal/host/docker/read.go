package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rekey"
	"rekey/internal/host"
)

// File is a file as it was read out of a container.
type File struct {
	Path     string // as given
	RealPath string // symbolic links resolved, in the container's file system
	Data     []byte
	ModTime  time.Time
}

// mostLinks is how many symbolic links in a row are followed.
const mostLinks = 10

// Read reads a file out of the container, running or not, its volumes included,
// and follows symbolic links inside it. Errors are of kind not found, denied,
// invalid or unavailable and hold a hint; they never quote the content.
func (c *Container) Read(ctx context.Context, name string) (File, error) {
	f := File{Path: name, RealPath: path.Clean(name)}
	for range mostLinks {
		target, err := c.readOne(ctx, &f)
		if err != nil {
			return f, c.readError(ctx, f, err)
		}
		if target == "" {
			return f, nil
		}
		f.RealPath = target
	}
	return f, loop(name, c)
}

func loop(name string, c *Container) error {
	return rekey.Errorf(rekey.KindInvalid, "%s in container %s: symbolic links lead in a circle", name, c.Name).
		WithHint("see where they lead: `docker exec %s ls -l %s`", c.Name, name)
}

// The errors of a path that is there and is no file to read.
var (
	errDirectory = errors.New("it is a directory")
	errIrregular = errors.New("it is not a regular file")
	errTooLarge  = errors.New("it is too large")
)

// readOne reads f.RealPath. target is where it leads when it is a symbolic link.
// gitlab-runner truncates and writes in place, so a content that changed meanwhile
// is read again.
func (c *Container) readOne(ctx context.Context, f *File) (target string, err error) {
	for range 3 {
		var stat container.PathStat
		stat, f.Data, err = c.archive(ctx, f.RealPath)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
				continue // cut short under the daemon's hands
			}
			return "", err
		}
		if stat.Mode&fs.ModeSymlink != 0 {
			return resolveLink(f.RealPath, stat.LinkTarget), nil
		}
		f.ModTime = stat.Mtime
		if after, err := c.stat(ctx, f.RealPath); err != nil || after.Mtime.Equal(stat.Mtime) && after.Size == int64(len(f.Data)) {
			return "", nil
		}
	}
	return "", err
}

func resolveLink(from, target string) string {
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(from), target)
	}
	return path.Clean(target)
}

func (c *Container) stat(ctx context.Context, name string) (container.PathStat, error) {
	bounded, stop := c.daemon.bounded(ctx)
	defer stop()
	answer, err := c.daemon.client.ContainerStatPath(bounded, c.ID, client.ContainerStatPathOptions{Path: name})
	return answer.Stat, err
}

// archive asks for one path. The daemon sends a directory whole, so what the head
// of its answer says decides whether anything is read.
func (c *Container) archive(ctx context.Context, name string) (container.PathStat, []byte, error) {
	bounded, stop := c.daemon.bounded(ctx)
	defer stop()
	answer, err := c.daemon.client.CopyFromContainer(bounded, c.ID, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return container.PathStat{}, nil, err
	}
	defer func() { _ = answer.Content.Close() }()
	switch mode := answer.Stat.Mode; {
	case mode&fs.ModeSymlink != 0:
		return answer.Stat, nil, nil
	case mode.IsDir():
		return answer.Stat, nil, errDirectory
	case !mode.IsRegular():
		return answer.Stat, nil, errIrregular
	case answer.Stat.Size > host.MaxConfig:
		return answer.Stat, nil, errTooLarge
	}
	in := tar.NewReader(io.LimitReader(answer.Content, host.MaxConfig+1<<20))
	if _, err := in.Next(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return answer.Stat, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(in, host.MaxConfig))
	return answer.Stat, data, err
}

func (c *Container) readError(ctx context.Context, f File, err error) error {
	shown := f.Path + " in container " + c.Name
	if f.RealPath != path.Clean(f.Path) {
		shown = f.RealPath + " (" + f.Path + " leads there) in container " + c.Name
	}
	switch {
	case errdefs.IsNotFound(err):
		return rekey.Errorf(rekey.KindNotFound, "%s does not exist", shown).WithHint("%s", c.whereElse(f.RealPath))
	case errors.Is(err, errDirectory):
		return rekey.Errorf(rekey.KindInvalid, "%s is a directory", shown).
			WithHint("a bind mount of a file that does not exist on the host makes such a directory: see `docker inspect -f '{{json .Mounts}}' %s`", c.Name)
	case errors.Is(err, errIrregular):
		return rekey.Errorf(rekey.KindInvalid, "%s is not a regular file", shown)
	case errors.Is(err, errTooLarge):
		return rekey.Errorf(rekey.KindInvalid, "%s is larger than %d MiB", shown, host.MaxConfig>>20).WithHint("this is hardly a config.toml: check the path")
	case strings.Contains(err.Error(), "too many links"):
		return loop(f.Path, c)
	}
	return c.daemon.denied(ctx, "GET /containers/"+c.Name+"/archive", err)
}

// whereElse is the next step for a file that the daemon does not find.
func (c *Container) whereElse(name string) string {
	if m := c.mountOf(name); m != nil && m.Type == "tmpfs" {
		return m.Destination + " is a tmpfs, which the archive API does not see: copy it, `docker exec " + c.Name + " cat " + name + " > config.toml`, and name the copy with --config"
	}
	if !c.Running {
		return "the container does not run (" + c.State + "); one that never started has only what its image and volumes hold"
	}
	return "gitlab-runner runs without sections until a config is there: `docker exec -it " + c.Name + " gitlab-runner register` makes it"
}

// SystemID reads the .runner_system_id beside the config, or says why there is none.
func (c *Container) SystemID(ctx context.Context, config string) (id rekey.SystemID, problem string) {
	name := path.Join(path.Dir(config), host.SystemIDName)
	f, err := c.Read(ctx, name)
	switch {
	case rekey.KindOf(err) == rekey.KindNotFound && err != nil:
		return "", name + " does not exist in container " + c.Name + ": gitlab-runner 15.7 or later makes it at its first start"
	case err != nil:
		return "", err.Error()
	}
	return host.ParseSystemID(name+" in container "+c.Name, f.Data)
}

// mountOf is the mount that the file lies on, nil for the container's own layer.
func (c *Container) mountOf(name string) *container.MountPoint {
	var best *container.MountPoint
	for i, m := range c.mounts {
		covers := name == m.Destination || strings.HasPrefix(name, strings.TrimSuffix(m.Destination, "/")+"/")
		if covers && (best == nil || len(m.Destination) > len(best.Destination)) {
			best = &c.mounts[i]
		}
	}
	return best
}

// ReadOnly says which mount keeps gitlab-runner from saving the file, "" for none.
// name is a real path, without symbolic links.
func (c *Container) ReadOnly(name string) string {
	m := c.mountOf(name)
	switch {
	case m == nil && c.frozen:
		return "the file system of container " + c.Name + " is read-only"
	case m != nil && !m.RW:
		return "it is mounted read-only into container " + c.Name + " (" + string(m.Type) + " " + m.Source + " at " + m.Destination + ")"
	}
	return ""
}

// Place is where the file lies outside the container, by which two containers that
// share it are told; "" for the container's own layer.
func (c *Container) Place(name string) string {
	m := c.mountOf(name)
	if m == nil || m.Type == "tmpfs" {
		return ""
	}
	return path.Join(m.Source, strings.TrimPrefix(name, m.Destination))
}
