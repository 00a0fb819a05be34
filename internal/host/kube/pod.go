package kube

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"rekey"
)

// Pod is one pod of a release.
type Pod struct {
	Name      string
	Container string // that runs gitlab-runner
	Running   bool
	Started   time.Time // of the container that runs, zero when none does
	Restarts  int
	Waiting   string // why the container does not run, "CrashLoopBackOff"; "" for none
}

func (r *Release) findPods(ctx context.Context) {
	all, err := r.listPods(ctx)
	if err != nil {
		r.PodsProblem = fmt.Sprintf("the pods of %s/%s were not looked at: %v (%s)", r.Namespace, r.Name, err, rekey.HintOf(err))
		return
	}
	slices.SortFunc(all, func(a, b pod) int { return b.Metadata.CreationTimestamp.Compare(a.Metadata.CreationTimestamp) })
	for _, p := range all {
		if p.Metadata.DeletionTimestamp == nil {
			r.Pods = append(r.Pods, p.of(r.container.Name))
		}
	}
}

// listPods returns the pods of the workload's selector, those too that are ending.
func (r *Release) listPods(ctx context.Context) ([]pod, error) {
	if len(r.selector) == 0 {
		return nil, nil
	}
	var labels []string
	for k, v := range r.selector {
		labels = append(labels, k+"="+v)
	}
	slices.Sort(labels)
	return list[pod](ctx, r.cluster, pods, r.Namespace, strings.Join(labels, ","))
}

func (p pod) of(container string) Pod {
	one := Pod{Name: p.Metadata.Name, Container: container}
	for _, s := range p.Status.ContainerStatuses {
		if s.Name != container {
			continue
		}
		one.Restarts = s.RestartCount
		if s.State.Running != nil {
			one.Running, one.Started = true, s.State.Running.StartedAt
		}
		if s.State.Waiting != nil {
			one.Waiting = s.State.Waiting.Reason
		}
	}
	return one
}

// The bounds of a pod's log: its last lines, and so many bytes of them.
const (
	mostLines = 50_000
	mostLog   = 64 << 20
)

// LogCommand is what a person would type for what Log returns, without its options
// of form.
func (r *Release) LogCommand(p Pod, previous bool) string {
	text := "kubectl logs -n " + r.Namespace + " " + p.Name
	if previous {
		text += " --previous"
	}
	return text
}

// Log returns the log of the last day of a pod's container, or of the one before
// its last restart, each line with its time. It ends when ctx does.
func (r *Release) Log(ctx context.Context, p Pod, previous bool) (io.ReadCloser, error) {
	in, err := r.log(p).Param("timestamps", "true").Param("sinceSeconds", "86400").Param("tailLines", strconv.Itoa(mostLines)).
		Param("limitBytes", strconv.Itoa(mostLog)).Param("previous", strconv.FormatBool(previous)).Stream(ctx)
	if err != nil {
		return nil, r.cluster.denied(ctx, request{"get", podLogs, r.Namespace, p.Name}, err)
	}
	return in, nil
}

var podLogs = kind{"", "v1", "pods/log"}

func (r *Release) log(p Pod) *rest.Request {
	return r.cluster.raw.Get().AbsPath("/api/v1/namespaces", r.Namespace, "pods", p.Name, "log").Param("container", p.Container)
}

// loggedSystemID is the field in gitlab-runner's formats, of which one has colours
// even where nobody sees them.
var loggedSystemID = regexp.MustCompile(`\bsystem_id(?:\x1b\[[0-9;]*m)?"?[=:]"?([sr]_[0-9a-zA-Z]{12})\b`)

// SystemID is the system id of one pod that runs. It lies in the pod's memory; what
// tells it is the head of the pod's log, where gitlab-runner says that it made one.
// problem says why there is none.
func (r *Release) SystemID(ctx context.Context) (id rekey.SystemID, problem string) {
	const head = 64 << 10
	for _, p := range r.Pods {
		if !p.Running {
			continue
		}
		bounded, stop := r.cluster.bounded(ctx)
		data, err := r.log(p).Param("limitBytes", strconv.Itoa(head)).DoRaw(bounded)
		stop()
		if err != nil {
			return "", r.cluster.denied(ctx, request{"get", podLogs, r.Namespace, p.Name}, err).Error()
		}
		if m := loggedSystemID.FindSubmatch(data); m != nil {
			return rekey.SystemID(m[1]), ""
		}
		problem = "it lies in the memory of pod " + p.Name + ", whose log no longer begins at its start"
	}
	if problem == "" {
		problem = "no pod of " + r.place() + " runs, and each draws its own at its start"
	}
	return "", problem
}
