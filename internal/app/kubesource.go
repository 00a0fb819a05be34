package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/diagnose"
	"rekey/internal/host"
	"rekey/internal/host/kube"
)

// mostPods is how many pods of one release have their logs read, the newest.
const mostPods = 3

// kubeSource returns what k8s://[NAMESPACE[/NAME]][?context=NAME] names, unopened:
// without a name every release of the namespace, without a namespace of all that
// may be looked at.
func (a *App) kubeSource(address string) (controller.Source, error) {
	rest, query, err := splitAddress(address, "context")
	if err != nil {
		return controller.Source{}, err
	}
	namespace, name, _ := strings.Cut(rest, "/")
	if strings.Contains(name, "/") || namespace == "" && name != "" {
		return controller.Source{}, rekey.Errorf(rekey.KindInvalid, "%q is no host", address).WithHint("write it as k8s://NAMESPACE/RELEASE, k8s://NAMESPACE or k8s://")
	}
	return controller.Source{Name: "k8s://" + rest, Open: func(ctx context.Context) ([]controller.Source, error) {
		c, err := kube.Connect(kube.Options{Context: query.Get("context"), Home: a.env("HOME", "USERPROFILE"), Getenv: func(name string) string { return a.env(name) }})
		if err != nil {
			return nil, err
		}
		found, notes, err := c.Releases(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		var sources []controller.Source
		for _, r := range found {
			sources = append(sources, releaseSource(ctx, r))
		}
		sources[0].Notes = append(notes, sources[0].Notes...)
		return sources, nil
	}}, nil
}

func releaseSource(ctx context.Context, r *kube.Release) controller.Source {
	h := &releaseHost{ctx: ctx, release: r}
	s := controller.Source{Name: "k8s://" + r.Namespace + "/" + r.Name, Host: h, Getenv: r.Getenv(ctx), ReadFile: h.tlsFile, Notes: r.Notes}
	for _, c := range r.Configs {
		s.Paths = append(s.Paths, c.Path)
	}
	for i, p := range r.Pods {
		if p.Waiting != "" {
			s.Notes = append(s.Notes, fmt.Sprintf("pod %s/%s does not run: %s, after %d restarts", r.Namespace, p.Name, p.Waiting, p.Restarts))
		}
		if i >= mostPods {
			continue
		}
		s.Logs = append(s.Logs, podLog(r, p, false))
		if p.Restarts > 0 {
			s.Logs = append(s.Logs, podLog(r, p, true))
		}
	}
	return s
}

func podLog(r *kube.Release, p kube.Pod, previous bool) controller.Log {
	return controller.Log{Name: r.LogCommand(p, previous), Patience: logPatience, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return r.Log(ctx, p, previous)
	}}
}

// releaseHost is controller.Host of a release: its configs are those that its pods
// make of its Secrets.
type releaseHost struct {
	ctx     context.Context // of the reading of the source
	release *kube.Release
}

func (h *releaseHost) config(path string) kube.Config {
	for _, c := range h.release.Configs {
		if c.Path == path {
			return c
		}
	}
	return kube.Config{Path: path, Err: rekey.Errorf(rekey.KindNotFound, "%s is no config of this release", path)}
}

// Read returns the config that a pod makes.
func (h *releaseHost) Read(path string) ([]byte, error) {
	c := h.config(path)
	return c.Data, c.Err
}

// SystemID returns that of a pod that runs, or why there is none.
func (h *releaseHost) SystemID(string) (rekey.SystemID, string) {
	return h.release.SystemID(h.ctx)
}

// File says what there is to see of the object that holds the token.
func (h *releaseHost) File(path string) diagnose.File {
	c := h.config(path)
	f := diagnose.File{Path: path, Identity: c.Identity, Generated: h.release.Made, ReadOnly: c.ReadOnly, ChangedAt: c.ChangedAt, LegacyField: c.LegacyField, Synthetic: c.Synthetic, AtStart: c.AtStart}
	if f.Generated == "" {
		f.Generated = host.GeneratedBy(c.Data)
	}
	return f
}

// Processes returns the pods that run. Each uses the release's one config.
func (h *releaseHost) Processes(paths []string) (found []diagnose.Process, problem string) {
	for _, p := range h.release.Pods {
		if !p.Running {
			continue
		}
		process := diagnose.Process{Name: "gitlab-runner in pod " + p.Name, From: "default", Started: p.Started}
		if len(paths) > 0 {
			process.Config = paths[0]
			process.Uses = append([]string(nil), paths...)
		}
		found = append(found, process)
	}
	return found, h.release.PodsProblem
}

// tlsFile reads a TLS file as the pods see it. What gitlab-runner looks for beside
// its config lies in the pod's home.
func (h *releaseHost) tlsFile(name string) ([]byte, error) {
	data, err := h.release.File(h.ctx, name)
	if rekey.KindOf(err) == rekey.KindNotFound && path.Base(path.Dir(name)) == "certs" {
		data, err = h.release.File(h.ctx, "/home/gitlab-runner/.gitlab-runner/certs/"+path.Base(name))
	}
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		err = errors.Join(err, fs.ErrNotExist)
	}
	return data, err
}
