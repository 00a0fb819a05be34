package configtoml

import (
	"fmt"
	"strings"
	"testing"
)

// TestPutBackLeavesNoTrace edits a section, another one behind it, and puts the
// first back: its bytes are those from before, and the other keeps its edit.
func TestPutBackLeavesNoTrace(t *testing.T) {
	t.Parallel()
	for name, data := range shapes() {
		putBack(t, name, parse(t, data))
	}
	for seed := range uint64(400) {
		text, _ := compose(seed)
		putBack(t, fmt.Sprint("seed ", seed), parse(t, text))
	}
}

func putBack(t *testing.T, name string, was *Document) {
	t.Helper()
	change := freshChange("")
	change.Name = nil
	for i := range was.Len() {
		other := (i + 1) % was.Len()
		alone, err := was.Edit(other, change)
		if err != nil {
			t.Errorf("%s: edit of section %d: %v", name, other, err)
			continue
		}
		want := alone.Bytes()
		if other == i {
			want = was.Bytes()
			alone = was
		}
		both, err := alone.Edit(i, change)
		if err != nil {
			t.Errorf("%s: edit of section %d: %v", name, i, err)
			continue
		}
		back, err := both.PutBack(i, was, i)
		if err != nil {
			t.Errorf("%s: section %d: %v", name, i, err)
			continue
		}
		s, before := back.Sections()[i], was.Sections()[i]
		if s.Token != before.Token || s.ID != before.ID || s.URL != before.URL || !s.ObtainedAt.Equal(before.ObtainedAt) || !s.ExpiresAt.Equal(before.ExpiresAt) {
			t.Errorf("%s: section %d is %+v, want %+v", name, i, s, before)
		}
		if string(back.Bytes()) != string(want) && !was.layout.inline {
			t.Errorf("%s: section %d: put back, the file is\n%s\nwant\n%s", name, i, back.Bytes(), want)
		}
	}
}

// TestPutBackKeepsWhatOthersWrote: a comment behind a date that was not there before
// stays, and with it the key, which then says none.
func TestPutBackKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	was := parse(t, "[[runners]]\n  token = \"glrt-CANARY1aaaaaaaaaaaaaa\"\n")
	change := freshChange("")
	change.Name = nil
	now, err := was.Edit(0, change)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(now.Bytes()), "token_expires_at = 2027-01-02T03:04:05Z", "token_expires_at = 2027-01-02T03:04:05Z # ask Jo\n  limit = 3", 1)
	back, err := parse(t, text).PutBack(0, was, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := string(back.Bytes())
	if !strings.Contains(got, "# ask Jo\n  limit = 3") || strings.Contains(got, "token_obtained_at") || strings.Contains(got, "2027") || !back.Sections()[0].ExpiresAt.IsZero() {
		t.Errorf("got\n%s\nwant the comment and limit, and no date", got)
	}
	for _, c := range [][2]int{{1, 0}, {0, 1}, {-1, 0}} {
		if _, err := now.PutBack(c[0], was, c[1]); err == nil {
			t.Errorf("section %d from %d: no error", c[0], c[1])
		}
	}
}
