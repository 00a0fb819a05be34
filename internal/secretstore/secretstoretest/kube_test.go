package secretstoretest_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/host/kube/kubetest"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/secretstoretest"
)

var secretRights = []string{"get", "list", "watch", "create", "update", "delete"}

// onRealCluster runs a test on the real API server.
func onRealCluster(t *testing.T, test func(t *testing.T, server kubetest.Server, namespace string)) {
	t.Helper()
	if !kubetest.RealNamed() {
		t.Skip("NOT TRIED AGAINST kube-apiserver: set KUBE_APISERVER and ETCD to the two programs")
	}
	kubetest.Each(t, func(t *testing.T, server kubetest.Server, namespace string) {
		if strings.HasSuffix(t.Name(), "/real") {
			test(t, server, namespace)
		}
	})
}

// lossyKube is the cluster over a line that loses the answer to the next write.
func lossyKube(t *testing.T, kubeconfig string) secretstore.Store {
	t.Helper()
	var config struct {
		Clusters []struct{ Cluster struct{ Server string } }
		Users    []struct{ User struct{ Token string } }
	}
	if err := json.Unmarshal([]byte(kubeconfig), &config); err != nil {
		t.Fatal(err)
	}
	line, ca := secretstoretest.NewTLSLine(t, config.Clusters[0].Cluster.Server, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})
	line.LoseNext(secretstoretest.Write)
	return kubeStore(t, kubetest.Kubeconfig(line.URL, ca, config.Users[0].User.Token, "default"))
}

// TestWatchOfASecretOlderThanTheServer: an API server that was started after the Secret
// was written knows nothing of its version. One stream watches it all the same, while
// more Secrets change than the server's cache holds at first.
func TestWatchOfASecretOlderThanTheServer(t *testing.T) {
	t.Parallel()
	etcd := secretstoretest.Etcd(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	line := func(s secretstoretest.KubeServer) (*secretstoretest.Line, secretstore.Store) {
		l, ca := secretstoretest.NewTLSLine(t, s.URL, transport)
		return l, kubeStore(t, kubetest.Kubeconfig(l.URL, ca, s.Token, "default"))
	}
	_, old := line(secretstoretest.KubeAPIServer(t, etcd))
	r := ref(t, "k8s://default/watched")
	mustPut(t, old, r, secretstoretest.Token(1), secretstore.Metadata{})
	since := version(t, old, r)
	seen, young := line(secretstoretest.KubeAPIServer(t, etcd))
	ended := make(chan error, 1)
	go func() { ended <- young.Watch(t.Context(), r, since) }()
	for i := range 150 {
		mustPut(t, old, r.With(fmt.Sprintf("other-%d", i), "runner-token"), secretstoretest.Token(2), secretstore.Metadata{})
	}
	select {
	case err := <-ended:
		t.Fatalf("Watch: %v, want it to go on: nothing changed", err)
	default:
	}
	mustPut(t, old, r, secretstoretest.Token(3), secretstore.Metadata{})
	if err := <-ended; err != nil {
		t.Errorf("Watch: %v", err)
	}
	if all := seen.Seen(); len(all) > 3 {
		t.Errorf("%d requests for one change, want 3: a watch, and a look before and after the change: %v ...", len(all), all[:4])
	}
	since = version(t, young, r)
	go func() { ended <- young.Watch(t.Context(), r, since) }()
	if err := old.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Watch of a Secret that is deleted: %v", err)
	}
	go func() { ended <- young.Watch(t.Context(), r, "") }()
	mustPut(t, old, r, secretstoretest.Token(4), secretstore.Metadata{})
	if err := <-ended; err != nil {
		t.Errorf("Watch of a Secret that comes: %v", err)
	}
}

// TestWatchTakesNoList: get and watch are all that it needs.
func TestWatchTakesNoList(t *testing.T) {
	t.Parallel()
	onRealCluster(t, func(t *testing.T, server kubetest.Server, namespace string) {
		writer := kubeStore(t, server.User(t, namespace, kubetest.Right{Resource: "secrets", Verbs: secretRights}))
		watcher := kubeStore(t, server.User(t, namespace, kubetest.Right{Resource: "secrets", Verbs: []string{"get", "watch"}}))
		r := ref(t, "k8s://%s/watched", namespace)
		mustPut(t, writer, r, secretstoretest.Token(1), secretstore.Metadata{})
		since := version(t, writer, r)
		ended := make(chan error, 1)
		go func() { ended <- watcher.Watch(t.Context(), r, since) }()
		mustPut(t, writer, r, secretstoretest.Token(2), secretstore.Metadata{})
		if err := <-ended; err != nil {
			t.Errorf("Watch with the rights get and watch: %v\n%s", err, rekey.HintOf(err))
		}
	})
}

// TestSecretOfTheChart: the key that the chart's volume names stays, empty; what else
// is in the Secret stays as it is.
func TestSecretOfTheChart(t *testing.T) {
	t.Parallel()
	onRealCluster(t, func(t *testing.T, server kubetest.Server, namespace string) {
		s := kubeStore(t, server.User(t, namespace, kubetest.Right{Resource: "secrets", Verbs: secretRights}))
		r := ref(t, "k8s://%s/made", namespace)
		mustPut(t, s, r, secretstoretest.Token(1), secretstore.Metadata{})
		_, err := s.Get(t.Context(), r.With("made", "runner-registration-token"), "")
		wants(t, "the empty key", err, rekey.KindNotFound, "is empty")
		server.Put(t, "/api/v1/namespaces/"+namespace+"/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"theirs","labels":{"a":"b"}},"stringData":{"runner-token":"CANARYold","runner-registration-token":"","other":"CANARYother"}}`)
		theirs := r.With("theirs", "runner-token")
		mustPut(t, s, theirs, secretstoretest.Token(2), secretstore.Metadata{})
		if got, err := s.Get(t.Context(), theirs.With("theirs", "other"), ""); err != nil || got.Value.Reveal() != "CANARYother" {
			t.Errorf("another key: %v, %v", got.Value, err)
		}
		if err := s.Delete(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(t.Context(), theirs, "")
		wants(t, "after Delete beside another key", err, rekey.KindNotFound, "is empty")
		_, err = s.Get(t.Context(), theirs.With("theirs", "none"), "")
		wants(t, "a missing key", err, rekey.KindNotFound, "its keys are other, runner-registration-token, runner-token")
		server.Put(t, "/api/v1/namespaces/"+namespace+"/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"fixed"},"immutable":true,"stringData":{"runner-token":"CANARYold"}}`)
		_, err = s.Put(t.Context(), theirs.With("fixed", "runner-token"), secretstoretest.Token(3), secretstore.Put{})
		wants(t, "an immutable Secret", err, rekey.KindInvalid, "immutable")
		_, err = s.Put(t.Context(), theirs.With("Bad_Name", "runner-token"), secretstoretest.Token(3), secretstore.Put{})
		wants(t, "a bad name", err, rekey.KindInvalid, "lower-case")
	})
}

// TestRightsOnSecrets: a refusal names the line of the Role.
func TestRightsOnSecrets(t *testing.T) {
	t.Parallel()
	onRealCluster(t, func(t *testing.T, server kubetest.Server, namespace string) {
		r := ref(t, "k8s://%s/runner", namespace)
		reader := kubeStore(t, server.User(t, namespace, kubetest.Right{Resource: "secrets", Verbs: []string{"get"}}))
		_, err := reader.Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{})
		wants(t, "create", err, rekey.KindDenied, `resources: ["secrets"], verbs: ["create"]`)
		mustPut(t, kubeStore(t, server.User(t, namespace, kubetest.Right{Resource: "secrets", Verbs: secretRights})), r, secretstoretest.Token(1), secretstore.Metadata{})
		_, err = reader.Put(t.Context(), r, secretstoretest.Token(2), secretstore.Put{})
		wants(t, "update", err, rekey.KindDenied, `verbs: ["update"]`)
		_, err = reader.List(t.Context(), place(t, "k8s://%s", namespace))
		wants(t, "list", err, rekey.KindDenied, `verbs: ["list"]`)
		wants(t, "delete", reader.Delete(t.Context(), r), rekey.KindDenied, `verbs: ["delete"]`)
		wants(t, "watch", reader.Watch(t.Context(), r, version(t, reader, r)), rekey.KindDenied, `verbs: ["watch"]`)
		blind := kubeStore(t, server.User(t, namespace, kubetest.Right{Resource: "pods", Verbs: []string{"get"}}))
		_, err = blind.Get(t.Context(), r, "")
		wants(t, "get", err, rekey.KindDenied, fmt.Sprintf(`kubectl auth can-i get secrets -n %s`, namespace))
	})
}

func version(t *testing.T, s secretstore.Store, r secretstore.Ref) secretstore.Version {
	t.Helper()
	got, err := s.Get(t.Context(), r, "")
	if err != nil {
		t.Fatal(err)
	}
	return got.Version
}
