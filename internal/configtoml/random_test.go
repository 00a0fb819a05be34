package configtoml

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"rekey"
)

// writer composes configs as people might write them, from a seed.
type writer struct {
	*rand.Rand
	out bytes.Buffer
	eol string
}

func compose(seed uint64) (data string, tokens []string) {
	w := &writer{Rand: rand.New(rand.NewPCG(seed, 7)), eol: "\n"}
	if w.one(3) {
		w.eol = "\r\n"
	}
	if w.one(4) {
		w.out.WriteString("\ufeff")
	}
	w.noise()
	if w.one(2) {
		w.line("concurrent = 4")
	}
	for i := range 1 + w.IntN(4) {
		if w.one(4) {
			w.line(fmt.Sprintf("[apart_%d]", i))
			w.line(`token = "not a runner's"`)
		}
		tokens = append(tokens, w.section(i))
	}
	w.noise()
	data = w.out.String()
	if w.one(3) {
		data = strings.TrimRight(data, "\r\n")
	}
	return data, tokens
}

func (w *writer) one(in int) bool { return w.IntN(in) == 0 }

func (w *writer) line(text string) {
	w.out.WriteString(strings.Repeat([]string{" ", "\t"}[w.IntN(2)], w.IntN(4)) + text)
	if w.one(5) {
		w.out.WriteString(" # [[runners]] token = \"x\"")
	}
	w.out.WriteString(w.eol)
}

func (w *writer) noise() {
	for w.one(3) {
		w.line([]string{"", "# comment", "#", "", "  # token = \"old\""}[w.IntN(5)])
	}
}

// section writes one section and returns its token, "" when it has none.
func (w *writer) section(i int) string {
	w.line([]string{"[[runners]]", "[[ runners ]]", `[["runners"]]`}[w.IntN(3)])
	token := fmt.Sprintf("glrt-CANARY%d", i)
	pairs := []string{w.pair("token", w.text(token))}
	if w.one(6) {
		token, pairs = "", nil
	}
	for _, p := range [][2]string{
		{"url", w.text("https://gitlab.example.com")}, {"id", "7"}, {"limit", "1_0"}, {"name", w.text("a")},
		{"token_expires_at", []string{"0001-01-01T00:00:00Z", "'2024-01-02T03:04:05Z'", "2024-01-02 03:04:05+01:00"}[w.IntN(3)]},
		{"token_obtained_at", "2024-01-02T03:04:05Z"}, {"environment", "[" + w.eol + " 'A=]', # x" + w.eol + "]"},
		{"pre_build_script", `"""` + w.eol + `[[runners]]` + w.eol + `token = "no" """`}, {"docker.image", `"x"`},
	} {
		if w.one(2) {
			pairs = append(pairs, w.pair(p[0], p[1]))
		}
	}
	w.Shuffle(len(pairs), func(a, b int) { pairs[a], pairs[b] = pairs[b], pairs[a] })
	for _, pair := range pairs {
		w.noise()
		w.line(pair)
	}
	for j := range w.IntN(3) {
		w.noise()
		w.line(fmt.Sprintf("[runners.table_%d]", j))
		w.line(`token = "of the table"`)
	}
	return token
}

func (w *writer) pair(key, value string) string {
	if w.one(4) {
		key = strings.ToUpper(key[:1]) + key[1:]
	}
	if w.one(6) && !strings.Contains(key, ".") {
		key = `"` + key + `"`
	}
	return key + []string{" = ", "=", "\t=  "}[w.IntN(3)] + value
}

func (w *writer) text(s string) string {
	switch w.IntN(4) {
	case 0:
		return "'" + s + "'"
	case 1:
		return `"""` + s + `"""`
	}
	return `"` + s + `"`
}

func TestRandomConfigs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		data, tokens := compose(seed)
		d, err := Parse([]byte(data))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, data)
		}
		for i, s := range d.Sections() {
			if s.Token.Reveal() != tokens[i] {
				t.Fatalf("seed %d: section %d has token %q, want %q\n%s", seed, i, s.Token.Reveal(), tokens[i], data)
			}
		}
		if err := exercise(d, int(seed)%d.Len()); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, data)
		}
	}
}

// exercise edits section i, appends one, and removes one after the other.
func exercise(d *Document, i int) error {
	edited, err := d.Edit(i, Change{Token: &newToken, ID: &newID, ObtainedAt: &obtained, ExpiresAt: &expires})
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	if got, want := len(strings.Split(string(edited.data), "\n")), len(strings.Split(string(d.data), "\n")); got < want || got > want+4 {
		return fmt.Errorf("the edit made %d lines of %d", got, want)
	}
	if bare := strings.Count(strings.ReplaceAll(string(edited.data), "\r\n", ""), "\n"); bare > 0 && bytes.Contains(d.data, []byte("\r\n")) {
		return fmt.Errorf("the edit left %d bare line feeds in a CRLF file", bare)
	}
	longer, err := edited.Append(added)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if !bytes.HasPrefix(longer.data, edited.data) {
		return fmt.Errorf("append changed what was there")
	}
	for longer.Len() > 0 {
		want := rekey.NewToken("")
		if longer.Len() > 1 {
			want = longer.sections[1].Token
		}
		if longer, err = longer.Remove(0); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
		if longer.Len() > 0 && longer.sections[0].Token != want {
			return fmt.Errorf("removed another section than the first")
		}
	}
	return nil
}
