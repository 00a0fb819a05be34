package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"rekey"
)

func TestLogKeepsRecordsAcrossReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	for i := range 3 {
		l, err := OpenLog(path)
		must(t, err)
		must(t, l.Append(fmt.Appendf(nil, "record %d", i)))
		must(t, l.Close())
	}
	wantRecords(t, path, "record 0", "record 1", "record 2")
	if mode := stat(t, path).Mode(); mode != 0o600 {
		t.Errorf("mode is %v, want 0600", mode)
	}
}

func TestLogCutsATornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	must(t, os.WriteFile(path, []byte("whole\n{\"torn"), 0o600))
	wantRecords(t, path, "whole")
	l, err := OpenLog(path)
	must(t, err)
	defer l.Close()
	must(t, l.Append([]byte("next")))
	wantContent(t, path, "whole\nnext\n")
}

func TestLogRefusesANewline(t *testing.T) {
	t.Parallel()
	l, err := OpenLog(filepath.Join(t.TempDir(), "journal"))
	must(t, err)
	defer l.Close()
	wantKind(t, l.Append([]byte("a\nb")), rekey.KindInternal)
	wantRecords(t, l.Path())
}

func TestLogTakesConcurrentRecords(t *testing.T) {
	t.Parallel()
	l, err := OpenLog(filepath.Join(t.TempDir(), "journal"))
	must(t, err)
	defer l.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := l.Append([]byte("same")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	records, err := ReadLog(l.Path())
	must(t, err)
	if len(records) != 8 {
		t.Errorf("got %d records, want 8", len(records))
	}
}

func TestReadLogOfNothing(t *testing.T) {
	t.Parallel()
	_, err := ReadLog(filepath.Join(t.TempDir(), "none"))
	wantKind(t, err, rekey.KindNotFound)
}

func wantRecords(t *testing.T, path string, want ...string) {
	t.Helper()
	got, err := ReadLog(path)
	must(t, err)
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("records are %q, want %q", got, want)
	}
}
