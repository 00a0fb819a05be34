package kube

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"rekey"
)

// File reads a file of the pod that comes from a Secret or a ConfigMap.
func (r *Release) File(ctx context.Context, name string) ([]byte, error) {
	for _, m := range r.container.VolumeMounts {
		below, covered := strings.CutPrefix(path.Clean(name), strings.TrimSuffix(m.MountPath, "/"))
		i := slices.IndexFunc(r.volumes, func(v volume) bool { return v.Name == m.Name })
		if !covered || i < 0 || below != "" && below[0] != '/' || below == "" && m.SubPath == "" {
			continue
		}
		file := path.Join(m.SubPath, strings.TrimPrefix(below, "/"))
		for _, o := range r.volumes[i].origins() {
			key := o.key(file)
			if key == "" {
				continue
			}
			data, err := r.value(ctx, o, key)
			if err == nil || rekey.KindOf(err) != rekey.KindNotFound {
				return data, err
			}
		}
	}
	return nil, rekey.Errorf(rekey.KindNotFound, "no Secret or ConfigMap of %s/%s is mounted at %s", r.Namespace, r.Name, name)
}

// mounted returns whole configs that are mounted into the container, by people who
// use no chart.
func (r *Release) mounted(ctx context.Context) []Config {
	var found []Config
	for _, m := range r.container.VolumeMounts {
		i := slices.IndexFunc(r.volumes, func(v volume) bool { return v.Name == m.Name })
		if i < 0 {
			continue
		}
		file := "config.toml"
		if m.SubPath != "" {
			file = m.SubPath
		}
		for _, o := range r.volumes[i].origins() {
			key := o.key(file)
			if key == "" || path.Base(file) != "config.toml" {
				continue
			}
			if c, ok := r.wholeConfig(ctx, o, key, m.SubPath != ""); ok {
				found = append(found, c)
			}
		}
	}
	return found
}

func (r *Release) wholeConfig(ctx context.Context, o origin, key string, once bool) (Config, bool) {
	kindName := "configmap"
	if o.secret {
		kindName = "secret"
	}
	c := Config{Path: "/" + kindName + "/" + o.name + "#" + key, AtStart: once,
		ReadOnly: "it is mounted from a " + map[bool]string{true: "Secret", false: "ConfigMap"}[o.secret] + ", which no pod can write"}
	data, err := r.value(ctx, o, key)
	if rekey.KindOf(err) == rekey.KindNotFound && err != nil {
		return c, false // another source of the volume has the key
	}
	c.Data, c.Err = data, err
	c.Identity = strings.Join([]string{r.cluster.String(), r.Namespace, c.Path}, " ")
	return c, err != nil || bytes.Contains(data, []byte("[[runners]]"))
}

// value reads one key of a Secret or ConfigMap.
func (r *Release) value(ctx context.Context, o origin, key string) ([]byte, error) {
	var data []byte
	var ok bool
	if o.secret {
		var s secret
		if err := r.cluster.get(ctx, secrets, r.Namespace, o.name, &s); err != nil {
			return nil, err
		}
		data, ok = s.Data[key]
	} else {
		var m configMap
		if err := r.cluster.get(ctx, configMaps, r.Namespace, o.name, &m); err != nil {
			return nil, err
		}
		var text string
		text, ok = m.Data[key]
		data = []byte(text)
	}
	if !ok {
		return nil, rekey.Errorf(rekey.KindNotFound, "%s/%s has no key %s", r.Namespace, o.name, key)
	}
	return data, nil
}
