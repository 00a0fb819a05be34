//go:build unix

package kube_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host/kube"
)

// TestAProgramThatMakesCredentialsAndHangsIsLeft: one that waits for a person.
func TestAProgramThatMakesCredentialsAndHangsIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, config := filepath.Join(dir, "pipe"), filepath.Join(dir, "config")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"sso","clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],
		"contexts":[{"name":"sso","context":{"cluster":"c","user":"u"}}],
		"users":[{"name":"u","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"cat","args":[%q],"interactiveMode":"Never"}}}]}`, pipe)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // lets the program end
		if f, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
			_ = f.Close()
		}
	})
	c, err := kube.Connect(kube.Options{Patience: 100 * time.Millisecond, Getenv: func(name string) string {
		return map[string]string{"KUBECONFIG": config}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.Releases(t.Context(), "ci", "")
	if rekey.KindOf(err) != rekey.KindUnavailable || !strings.Contains(err.Error(), "cat, which makes the credentials of the context sso, did not end within 100ms") {
		t.Errorf("got %v, want that the program did not end", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := c.Releases(ctx, "ci", ""); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v, want that it was interrupted", err)
	}
}
