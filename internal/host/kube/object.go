package kube

import (
	"io"
	"os"
	"time"
)

// The parts of the API's objects that are looked at. Types of one's own keep the
// typed client, which is large, out of the program.

type meta struct {
	Name, Namespace   string
	ResourceVersion   string
	Labels            map[string]string
	Annotations       map[string]string
	CreationTimestamp time.Time
	DeletionTimestamp *time.Time
	OwnerReferences   []struct{ Kind, Name, APIVersion string }
	ManagedFields     []managed
}

// managed says who wrote fields of an object last, and how: "Apply" is server-side.
type managed struct {
	Manager, Operation string
	Time               *time.Time
}

// changed is when the object last changed, as far as it tells.
func (m meta) changed() time.Time {
	at := m.CreationTimestamp
	for _, f := range m.ManagedFields {
		if f.Time != nil && f.Time.After(at) {
			at = *f.Time
		}
	}
	return at
}

type deployment struct {
	Metadata meta
	Spec     struct {
		Replicas *int
		Paused   bool
		Strategy struct{ Type string }
		Selector struct{ MatchLabels map[string]string }
		Template struct {
			Metadata meta
			Spec     podSpec
		}
	}
}

type podSpec struct {
	Containers                    []containerSpec
	Volumes                       []volume
	TerminationGracePeriodSeconds *int64
}

type containerSpec struct {
	Name, Image   string
	Command, Args []string
	Env           []variable
	VolumeMounts  []struct {
		Name, MountPath, SubPath string
	}
}

type variable struct {
	Name, Value string
	ValueFrom   *struct {
		SecretKeyRef, ConfigMapKeyRef *struct{ Name, Key string }
	}
}

type volume struct {
	Name   string
	Secret *struct {
		SecretName string
		Items      []item
	}
	ConfigMap *projection
	Projected *struct {
		Sources []struct{ Secret, ConfigMap *projection }
	}
}

type projection struct {
	Name  string
	Items []item
}

type item struct{ Key, Path string }

// origin is a Secret or a ConfigMap behind a volume.
type origin struct {
	secret bool
	name   string
	items  []item // none: every key under its own name
}

func (v volume) origins() []origin {
	var all []origin
	if v.Secret != nil {
		all = append(all, origin{true, v.Secret.SecretName, v.Secret.Items})
	}
	if v.ConfigMap != nil {
		all = append(all, origin{false, v.ConfigMap.Name, v.ConfigMap.Items})
	}
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				all = append(all, origin{true, s.Secret.Name, s.Secret.Items})
			}
			if s.ConfigMap != nil {
				all = append(all, origin{false, s.ConfigMap.Name, s.ConfigMap.Items})
			}
		}
	}
	return all
}

// key is the key whose value stands at a path of the volume, "" for none.
func (o origin) key(path string) string {
	if len(o.items) == 0 {
		return path
	}
	for _, i := range o.items {
		if i.Path == path {
			return i.Key
		}
	}
	return ""
}

type secret struct {
	Metadata  meta
	Data      map[string][]byte
	Immutable bool
}

type configMap struct {
	Metadata meta
	Data     map[string]string
}

type pod struct {
	Metadata meta
	Status   struct {
		Phase             string
		ContainerStatuses []struct {
			Name         string
			RestartCount int
			Ready        bool
			State        struct {
				Running *struct{ StartedAt time.Time }
				Waiting *struct{ Reason, Message string }
			}
		}
	}
}

type runner struct {
	Metadata meta
	Spec     struct {
		GitlabURL string `json:"gitlabUrl"`
		Token     string
		CA        string `json:"ca"`
	}
}

// readFile reads a small file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}
