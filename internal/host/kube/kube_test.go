package kube_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekey/internal/host/kube"
	"rekey/internal/host/kube/kubetest"
)

func TestMain(m *testing.M) {
	if !kubetest.RealNamed() {
		fmt.Println("NOT TRIED ON A REAL kube-apiserver: set KUBE_APISERVER and ETCD to the two programs")
	}
	code := m.Run()
	kubetest.Stop()
	os.Exit(code)
}

func connect(t *testing.T, kubeconfig string) *kube.Cluster {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := kube.Connect(kube.Options{Patience: time.Minute, Getenv: func(name string) string {
		return map[string]string{"KUBECONFIG": path}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func releases(t *testing.T, c *kube.Cluster, namespace, name string) []*kube.Release {
	t.Helper()
	all, _, err := c.Releases(context.Background(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
