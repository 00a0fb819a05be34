package file_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"rekey"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/file"
)

// The test binary is also the process that is killed: with this variable it writes
// one token to the reference in it, and ends.
const writerRef = "REKEY_TEST_WRITER_REF"

func TestMain(m *testing.M) {
	if text := os.Getenv(writerRef); text != "" {
		os.Exit(writeOnce(text))
	}
	os.Exit(m.Run())
}

func writeOnce(text string) int {
	ref, err := secretstore.Parse(text)
	if err == nil {
		_, err = file.New(file.Options{Now: time.Now}).Put(context.Background(), ref, newToken, secretstore.Put{})
	}
	if err != nil {
		return 1
	}
	return 0
}

var newToken = rekey.NewToken("glrt-CANARYnewnewnewnewne")

// TestKilledAtEveryPoint: a writer dies at each of its crash points, over nothing and
// over an earlier version. What was there or what was written is there afterwards,
// whole; the next writer needs no help, and nothing with a token lies about.
func TestKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, over := range []bool{false, true} {
		points := 0
		for at := 1; ; at++ {
			w := newWorld(t)
			ref := w.ref.Having("key", w.key)
			if over {
				w.put(t, token)
			}
			if !killed(t, ref, at) {
				break
			}
			points++
			got, err := w.store.Get(t.Context(), ref, "")
			switch {
			case err == nil && got.Value == newToken:
			case err == nil && over && got.Value == token:
			case !over && rekey.KindOf(err) == rekey.KindNotFound:
			default:
				t.Errorf("over %v, killed at point %d: %v, %v", over, at, got.Value, err)
			}
			if _, err := w.store.Put(t.Context(), ref, newToken, secretstore.Put{}); err != nil {
				t.Errorf("over %v, the writer after the one killed at point %d: %v", over, at, err)
			}
			left, err := filepath.Glob(filepath.Join(w.dir, "*"))
			hidden, _ := filepath.Glob(filepath.Join(w.dir, ".*"))
			ofKey, _ := filepath.Glob(filepath.Join(w.dir, "keys", ".*"))
			hidden = append(hidden, ofKey...)
			if want := []string{filepath.Join(w.dir, "keys"), ref.Name}; err != nil || !slices.Equal(left, want) || len(hidden) > 0 {
				t.Errorf("over %v, after point %d: %v and %v lie about, want %v", over, at, left, hidden, want)
			}
		}
		if points < 3 {
			t.Errorf("over %v: only %d crash points, want some before and after each act", over, points)
		}
	}
}

// killed runs the writer and reports whether it died at the point; it ends by itself
// when it has fewer.
func killed(t *testing.T, ref secretstore.Ref, at int) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), writerRef+"="+ref.String(), "REKEY_CRASH_AT="+strconv.Itoa(at))
	said, err := cmd.CombinedOutput()
	if bytes.Contains(said, []byte("CANARY")) {
		t.Errorf("the writer printed a token: %s", said)
	}
	if err != nil && cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the writer failed instead of dying: %v %s", err, said)
	}
	return err != nil
}
