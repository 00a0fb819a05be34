package configtoml

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"rekey"
)

func seed(f *testing.F, add func(data []byte)) {
	f.Helper()
	for _, data := range shapes() {
		add([]byte(data))
	}
	for _, data := range []string{"", "\ufeff", "#", "[[runners]]", "[[runners]]\r", "runners=[]", "[[runners]]\n[[runners]]\ntoken=''''''",
		"[[runners]]\ntoken=\"\"\"a\r\nb\"\"\"", "[[runners]]\nname.a=1", "a=nan\n[[runners]]\nid=0x1F", "[[runners]]\ntoken_expires_at=2024-01-02 03:04:05",
		"runners=[{token=\"CANARY\"\n}]", "[[runners]]\n\"to\\u006ben\"=\"CANARY\""} {
		add([]byte(data))
	}
}

// FuzzParsePrint: what is parsed is printed byte for byte, and what is refused
// is refused by the decoder of gitlab-runner too, without a quote.
func FuzzParsePrint(f *testing.F) {
	seed(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err == nil {
			if !bytes.Equal(d.Bytes(), data) {
				t.Errorf("got %q, want %q", d.Bytes(), data)
			}
			return
		}
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Fatalf("got error %T, want *SyntaxError", err)
		}
		if lines := bytes.Count(data, []byte("\n")) + 1; e.Line < 1 || e.Line > lines || e.Column < 1 {
			t.Errorf("error at line %d, column %d of %d lines", e.Line, e.Column, lines)
		}
		c, tree, refused := accept(data)
		if refused == nil && c != nil && bytes.IndexByte(data, 0) < 0 && !bytes.HasPrefix(data, []byte("\xff\xfe")) && !bytes.HasPrefix(data, []byte("\xfe\xff")) && ambiguous(tree, &layout{}) == nil {
			t.Errorf("refused with %v what gitlab-runner takes", err)
		}
	})
}

// FuzzEdit: an edit changes the values it names and no other, and no byte
// before the first or behind the last of them.
func FuzzEdit(f *testing.F) {
	seed(f, func(data []byte) {
		f.Add(data, 0, newToken.Reveal(), int64(7), int64(1_700_000_000))
		f.Add(data, 1, "glrt-CANARY \"'\\\n\u00a0${X}", int64(-1), int64(0))
	})
	f.Fuzz(func(t *testing.T, data []byte, index int, token string, id, unix int64) {
		before, err := Parse(data)
		if err != nil || before.Len() == 0 {
			return
		}
		index = min(max(index, 0), before.Len()-1)
		value, runner, at := rekey.NewToken(token), rekey.RunnerID(id), time.Unix(unix, 0)
		c := Change{Token: &value, ID: &runner, ExpiresAt: &at, ObtainedAt: &time.Time{}}
		after, err := before.Edit(index, c)
		if err != nil {
			if rekey.KindOf(err) == rekey.KindInternal && at.Year() >= 1 && at.Year() <= 9999 {
				t.Errorf("an edit was not what was intended: %v", err)
			}
			if len(token) > 3 && strings.Contains(err.Error(), token) && strings.Contains(token, "CANARY") {
				t.Errorf("the error shows the token: %v", err)
			}
			return
		}
		wantOnlyThat(t, before, after, index, c)
	})
}

func wantOnlyThat(t *testing.T, before, after *Document, index int, c Change) {
	t.Helper()
	if !c.holds(after.Sections()[index]) {
		t.Errorf("got section %+v after %+v", after.Sections()[index], c)
	}
	if !sameBut(before.tree, after.tree, "runners") || before.Len() != after.Len() {
		t.Errorf("the edit changed more than a section")
	}
	for i, section := range runnersOf(before.tree) {
		var ignored []string
		if i == index {
			ignored = c.keys()
		}
		if !sameBut(section, runnersOf(after.tree)[i], ignored...) {
			t.Errorf("section %d changed beyond the edit", i)
		}
	}
	p := before.layout.sections[index]
	first, last := len(before.data), p.header.end
	for f, key := range fieldKeys {
		if p.fields[f].line > 0 && strings.Contains(strings.Join(c.keys(), " "), key) {
			first, last = min(first, p.fields[f].value.start), max(last, p.fields[f].value.end)
		}
	}
	first = min(first, lineEnd(before.data, p.header.end))
	if !bytes.HasPrefix(after.data, before.data[:min(first, p.header.end)]) {
		t.Errorf("bytes before the section changed")
	}
	tail := before.data[furthest(before, p, last):]
	if !bytes.HasSuffix(after.data, tail) {
		t.Errorf("bytes behind the section's keys changed")
	}
}

// furthest returns the end of the last line that an edit of p may touch.
func furthest(d *Document, p place, last int) int {
	for _, f := range p.fields {
		if f.line > 0 {
			last = max(last, f.value.end)
		}
	}
	if d.layout.inline {
		return last
	}
	return trimEnding(d.data, lineEnd(d.data, last))
}
