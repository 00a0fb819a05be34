package main_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/internal/host/kube/kubetest"
	"rekey/internal/lab/labtest"
)

// cluster is a release on a real API server. Its controllers and kubelet are played;
// a pod that runs asks the lab for a job with the token that it took.
type cluster struct {
	kubetest.Cluster
	t          *testing.T
	lab        *labtest.Lab
	front      *front
	namespace  string
	kubeconfig string
	dir        string
	store      string // a secret that has the token too; "" for none
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	server, namespace := kubetest.Real(t)
	c := &cluster{Cluster: server, t: t, front: &front{resets: map[string]int{}}, namespace: namespace, dir: t.TempDir()}
	c.lab = labtest.Start(t, labtest.Options{Version: "18.11", Fault: c.front.middleware})
	record := c.lab.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}, "description": "cluster"})
	kubetest.Chart(t, server, namespace, "main", c.lab.URL, map[string]string{"runner-token": record.Token, "runner-registration-token": ""})
	c.Patch(t, "/api/v1/namespaces/"+namespace+"/secrets/main-gitlab-runner", `{"metadata":{"labels":null}}`)
	c.Patch(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments/main-gitlab-runner", `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":3600}}}}`)
	control := &kubetest.Control{Cluster: server, Namespace: namespace, Release: "main", Runs: func(token, systemID string) {
		c.lab.Call("POST", "jobs/request", "", labtest.M{"token": token, "system_id": systemID, "info": labtest.M{"name": "gitlab-runner"}})
	}}
	control.Start(t)
	c.kubeconfig = kubetest.File(t, server.User(t, namespace, kubetest.Rotating...))
	c.ready()
	return c
}

// ready waits for the first pod.
func (c *cluster) ready() {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, said := c.Do("GET", "/api/v1/namespaces/"+c.namespace+"/pods", "", ""); strings.Contains(said, `"ready":true`) {
			return
		}
		select {
		case <-c.t.Context().Done():
			c.t.Fatal("no pod came up")
		case <-tick.C:
		}
	}
}

// rotate runs rekey with a state directory, killed at a point (0: at none).
func (c *cluster) rotate(state string, at int, log string) ended {
	c.t.Helper()
	words := []string{"rotate", "--host", "k8s://" + c.namespace + "/main", "--yes", "--rps", "0"}
	if c.store != "" {
		words = append(words, "--store", c.store)
	}
	return execute(c.t, mortal, append(c.env(), "REKEY_STATE_DIR="+filepath.Join(c.dir, state), "REKEY_CRASH_AT="+strconv.Itoa(at), "REKEY_CRASH_LOG="+log), "", words...)
}

func (c *cluster) env() []string {
	return []string{"HOME=" + c.dir, "KUBECONFIG=" + c.kubeconfig, "GITLAB_HOST=" + c.lab.URL, "GITLAB_TOKEN=" + c.lab.Admin}
}

// record is the id of the newest record; GitLab counts them.
func (c *cluster) record() (id int64) {
	c.t.Helper()
	var records []struct {
		ID int64 `json:"id"`
	}
	c.lab.Must(200, "GET", "runners/all", nil, &records)
	for _, r := range records {
		id = max(id, r.ID)
	}
	return id
}

// whole says what is wrong with what is left: "" for one record, with its tags, whose
// token the Secret holds, and the store where there is one.
func (c *cluster) whole() string {
	c.t.Helper()
	var records []struct {
		ID      int64    `json:"id"`
		TagList []string `json:"tag_list"`
		Paused  bool     `json:"paused"`
	}
	c.lab.Must(200, "GET", "runners/all", nil, &records)
	var secret struct{ Data map[string][]byte }
	c.Get(c.t, "/api/v1/namespaces/"+c.namespace+"/secrets/main-gitlab-runner", &secret)
	if len(records) != 1 || records[0].Paused {
		return fmt.Sprintf("the records are %+v, want one that takes jobs", records)
	}
	var one struct {
		TagList []string `json:"tag_list"`
	}
	c.lab.Must(200, "GET", fmt.Sprintf("runners/%d", records[0].ID), nil, &one)
	if !slices.Equal(one.TagList, []string{"deploy"}) {
		return fmt.Sprintf("runner %d has the tags %q, want its own", records[0].ID, one.TagList)
	}
	a := c.lab.Call("POST", "runners/verify", "", labtest.M{"token": string(secret.Data["runner-token"]), "system_id": "r_000000000000"})
	if a.Status != 200 || !strings.Contains(a.Body, fmt.Sprintf(`"id":%d,`, records[0].ID)) {
		return fmt.Sprintf("the Secret's token is answered with %d, want runner %d", a.Status, records[0].ID)
	}
	if c.store == "" {
		return ""
	}
	if e := execute(c.t, mortal, c.env(), "", "secret", "get", c.store); e.code != 0 || e.stdout != string(secret.Data["runner-token"]) {
		return fmt.Sprintf("the store does not have the token of the Secret (exit %d): %s", e.code, e.stderr)
	}
	return ""
}

// TestCrashInACluster kills the real binary at every named point of a release's
// rotation, gives the command again, and looks at what it came to.
func TestCrashInACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.killed("overlap, in a cluster")
}

// TestCrashInAClusterWithAStore: a sealed file has the new token before the cluster.
func TestCrashInAClusterWithAStore(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.store = "file://" + filepath.Join(c.dir, "token.sealed") + "?key=" + filepath.Join(c.dir, "key.txt")
	c.killed("overlap, in a cluster, store")
}

func (c *cluster) killed(name string) {
	t := c.t
	t.Helper()
	log := filepath.Join(c.dir, "points")
	if e := c.rotate("undisturbed", 0, log); e.code != 0 {
		t.Fatal(e)
	}
	text, err := os.ReadFile(log)
	must(t, err)
	var passed []string
	for line := range strings.Lines(string(text)) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		passed = append(passed, name)
	}
	if !slices.Contains(passed, "kube.secret:after") || !slices.Contains(passed, "kube.rollout:before") {
		t.Fatalf("the points are %q, want those of the Secret and of the rollout", passed)
	}
	numbers := chosen(passed, 1, 1)
	if os.Getenv("REKEY_CRASH_EVERY") == "" { // the cluster's own points, and some of the others
		own := slices.DeleteFunc(slices.Clone(numbers), func(n int) bool { return !strings.HasPrefix(passed[n-1], "kube.") })
		numbers = append(own, some(numbers, 8)...)
	}
	if wrong := c.whole(); wrong != "" {
		t.Fatalf("undisturbed: %s", wrong)
	}
	received, ended := slices.Index(passed, "kube.secret:before")+1, len(passed) // what is given again after its end is another rotation
	for ended > 0 && passed[ended-1] != "log.write:after" {
		ended--
	}
	converged := 0
	for _, n := range numbers {
		state, record := fmt.Sprint("at-", n), c.record()
		if e := c.rotate(state, n, ""); !e.killed() {
			t.Errorf("point %d (%s): %v, want it killed", n, passed[n-1], e)
			continue
		}
		if e := c.rotate(state, 0, ""); e.code != 0 {
			t.Errorf("point %d (%s): resuming gave %v", n, passed[n-1], e)
			continue
		}
		if wrong := c.whole(); wrong != "" {
			t.Errorf("point %d (%s): %s", n, passed[n-1], wrong)
			continue
		}
		if after := c.record(); n >= received && n < ended && after != record+1 {
			t.Errorf("point %d (%s): runner %d became %d, want it rotated once", n, passed[n-1], record, after)
			continue
		}
		converged++
	}
	fmt.Printf(crashRow, name, len(passed), len(numbers), converged)
}

// TestLostAnswersInACluster loses GitLab's answer to each request of a release's
// rotation in turn, in one of the ways, or in all of them in make crash.
func TestLostAnswersInACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.front.begin(nil)
	if e := c.rotate("undisturbed", 0, ""); e.code != 0 {
		t.Fatal(e)
	}
	requests, ways := c.front.asked, slices.Sorted(maps.Keys(lostAnswers))
	if requests < 3 {
		t.Fatalf("%d requests were counted", requests)
	}
	tried, converged := 0, 0
	for nth := 1; nth <= requests; nth++ {
		for i, way := range ways {
			if os.Getenv("REKEY_CRASH_EVERY") == "" && i != nth%len(ways) {
				continue
			}
			tried++
			what, state := fmt.Sprintf("request %d %s", nth, way), fmt.Sprintf("lost-%d-%d", nth, i)
			lose := &loss{nth: nth, how: lostAnswers[way]}
			c.front.begin(lose)
			e := c.rotate(state, 0, "")
			if !lose.done {
				t.Errorf("%s: no answer was lost: %v", what, e)
				continue
			}
			c.front.begin(nil)
			for again := 0; e.code != 0 && again < resumes; again++ {
				e = c.rotate(state, 0, "")
			}
			if wrong := c.whole(); e.code != 0 || wrong != "" {
				t.Errorf("%s: %s; last %v", what, wrong, e)
				continue
			}
			converged++
		}
	}
	t.Logf("%-28s %3d requests, %4d answers lost, %4d converged", "overlap, in a cluster", requests, tried, converged)
}
