package testport_test

import (
	"net"
	"strconv"
	"testing"

	"rekey/internal/testport"
)

// TestFree: one may listen there, and nobody is handed the port by the system.
func TestFree(t *testing.T) {
	t.Parallel()
	port, err := testport.Free()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1024 || n >= 32768 {
		t.Errorf("got port %q, want one from 1024 to 32767", port)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatalf("nobody can listen there: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
