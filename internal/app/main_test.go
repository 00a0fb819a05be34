package app_test

import (
	"os"
	"testing"

	"rekey/internal/host/kube/kubetest"
)

// TestMain ends the API server that the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	kubetest.Stop()
	os.Exit(code)
}
