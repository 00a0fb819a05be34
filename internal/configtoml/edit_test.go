package configtoml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey"
)

var (
	newToken = rekey.NewToken("glrt-CANARY3cccccccccccccc")
	newID    = rekey.RunnerID(77)
	obtained = time.Date(2025, 2, 3, 4, 5, 6, 0, time.UTC)
	expires  = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
)

func TestEditOfEveryShape(t *testing.T) {
	t.Parallel()
	for name, data := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := parse(t, data)
			for i := range before.Len() {
				after, err := before.Edit(i, Change{Token: &newToken, ID: &newID, ObtainedAt: &obtained, ExpiresAt: &expires})
				if err != nil {
					t.Fatalf("section %d: %v", i, err)
				}
				s := after.Sections()[i]
				if s.Token != newToken || s.ID != newID || !s.ObtainedAt.Equal(obtained) || !s.ExpiresAt.Equal(expires) {
					t.Errorf("section %d: got %+v", i, s)
				}
				back, err := after.Edit(i, Change{Token: &before.sections[i].Token, ID: &before.sections[i].ID,
					ObtainedAt: &before.sections[i].ObtainedAt, ExpiresAt: &before.sections[i].ExpiresAt})
				if err != nil {
					t.Fatalf("section %d, back: %v", i, err)
				}
				if lost := missingLines(data, string(back.Bytes())); lost != "" && !strings.Contains(name, "multi-line") {
					t.Errorf("section %d: after editing there and back the line %q is gone", i, lost)
				}
				if string(before.Bytes()) != data {
					t.Errorf("the edited document itself changed")
				}
			}
		})
	}
}

// missingLines returns a line of before that is not in after.
func missingLines(before, after string) string {
	for line := range strings.SplitSeq(before, "\n") {
		if !strings.Contains(after, strings.TrimRight(line, "\r")) && !strings.Contains(line, "runners = [") && !strings.Contains(line, "{ }") {
			return line
		}
	}
	return ""
}

func TestEditTouchesOnlyItsBytes(t *testing.T) {
	t.Parallel()
	name := "höst \"7\"\t'x'"
	for _, test := range []struct {
		name, before, after string
		change              Change
	}{
		{"comment after the token",
			"[[runners]]\n\ttoken = \"glrt-CANARYold\"\t# by hand\n\tlimit = 3\n",
			"[[runners]]\n\ttoken = \"glrt-CANARY3cccccccccccccc\"\t# by hand\n\tlimit = 3\n",
			Change{Token: &newToken}},
		{"single quotes stay",
			"[[runners]]\ntoken='glrt-CANARYold'\ntoken_expires_at='2020-01-01T00:00:00Z'",
			"[[runners]]\ntoken='glrt-CANARY3cccccccccccccc'\ntoken_expires_at='0001-01-01T00:00:00Z'",
			Change{Token: &newToken, ExpiresAt: &time.Time{}}},
		{"missing keys come behind the token, with CRLF",
			"[[runners]]\r\n    url = \"u\" # x\r\n    token = \"glrt-CANARYold\" # y\r\n    executor = \"shell\"\r\n",
			"[[runners]]\r\n    url = \"u\" # x\r\n    id = 77\r\n    token = \"glrt-CANARY3cccccccccccccc\" # y\r\n    token_obtained_at = 2025-02-03T04:05:06Z\r\n    token_expires_at = 2026-02-03T04:05:06Z\r\n    executor = \"shell\"\r\n",
			Change{Token: &newToken, ID: &newID, ObtainedAt: &obtained, ExpiresAt: &expires}},
		{"missing token at the end of a file without newline",
			"  [[runners]]\n    url = \"u\"",
			"  [[runners]]\n    url = \"u\"\n    token = \"glrt-CANARY3cccccccccccccc\"",
			Change{Token: &newToken}},
		{"empty section",
			"# x\r\n  [[runners]]",
			"# x\r\n  [[runners]]\r\n    id = 77\r\n    token = \"glrt-CANARY3cccccccccccccc\"",
			Change{Token: &newToken, ID: &newID}},
		{"section with other keys only",
			"[[runners]] # c\n\n     limit = 1\n[runners.docker]\n",
			"[[runners]] # c\n     token = \"glrt-CANARY3cccccccccccccc\"\n\n     limit = 1\n[runners.docker]\n",
			Change{Token: &newToken}},
		{"a literal that cannot hold the value",
			"[[runners]]\nname = 'a'\n",
			"[[runners]]\nname = \"höst \\\"7\\\"\\u0009'x'\"\n",
			Change{Name: &name}},
		{"inline table",
			"runners = [{url = \"u\", token = 'glrt-CANARYold'}, {limit = 1}]\n",
			"runners = [{url = \"u\", id = 77, token = 'glrt-CANARY3cccccccccccccc'}, {limit = 1}]\n",
			Change{Token: &newToken, ID: &newID}},
		{"last key of a section before a sub-table",
			"[[runners]]\n  [runners.docker]\n    image = \"x\"\n",
			"[[runners]]\n  token = \"glrt-CANARY3cccccccccccccc\"\n  [runners.docker]\n    image = \"x\"\n",
			Change{Token: &newToken}},
		{"nothing to do", "[[runners]]\n", "[[runners]]\n", Change{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, err := parse(t, test.before).Edit(0, test.change)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.Bytes()); got != test.after {
				t.Errorf("got  %q\nwant %q", got, test.after)
			}
		})
	}
}

func TestEditRefusals(t *testing.T) {
	t.Parallel()
	d := parse(t, "[[runners]]\n  token = \"glrt-CANARYold\"\n")
	bad := rekey.NewToken("glrt-CANARY\xff")
	for _, test := range []struct {
		index  int
		change Change
		want   rekey.Kind
	}{
		{1, Change{ID: &newID}, rekey.KindNotFound},
		{-1, Change{ID: &newID}, rekey.KindNotFound},
		{0, Change{Token: &bad}, rekey.KindInvalid},
	} {
		_, err := d.Edit(test.index, test.change)
		if err == nil || rekey.KindOf(err) != test.want || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("section %d: got error %v, want kind %q", test.index, err, test.want)
		}
	}
}

func TestTenThousandSections(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, "[[runners]]\n  name = \"r%d\"\n  url = \"https://gitlab.example.com\"\n  token = \"glrt-CANARY%015d\"\n  executor = \"docker\"\n  [runners.docker]\n    image = \"alpine\"\n\n", i, i)
	}
	d := parse(t, b.String())
	changes := map[int]Change{}
	for i := range d.Len() {
		changes[i] = Change{Token: &newToken, ID: &newID}
	}
	after, err := d.EditAll(changes)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(after.Bytes()), newToken.Reveal()); got != 10_000 {
		t.Errorf("got %d new tokens, want 10000", got)
	}
	if last := after.Sections()[9_999]; last.Line != 9_999*9+1 || last.TokenLine != last.Line+4 {
		t.Errorf("got lines %d and %d, want %d and %d", last.Line, last.TokenLine, 9_999*9+1, 9_999*9+5)
	}
}
