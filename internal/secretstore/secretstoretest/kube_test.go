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
