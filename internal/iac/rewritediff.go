package iac

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// around are the lines of context that a diff shows.
const diffContext = 3

// Diff writes the change as a unified diff. Tokens are shown as kind and
// fingerprint, so it is for reading and not for patch.
func (r Rewriting) Diff(w io.Writer) error {
	if !r.Changed() {
		return nil
	}
	before, after := splitLines(r.Before), splitLines(r.After)
	if _, err := fmt.Fprintf(w, "--- a/%s\n+++ b/%s\n", relative(r.Path), relative(r.Path)); err != nil {
		return err
	}
	moves := lineMoves(before, after)
	for len(moves) > 0 {
		n := 1
		for n < len(moves) && moves[n].from-moves[n-1].fromEnd <= 2*diffContext {
			n++
		}
		if err := r.hunk(w, before, after, moves[:n]); err != nil {
			return err
		}
		moves = moves[n:]
	}
	return nil
}

// move says that the lines from…fromEnd became to…toEnd.
type move struct{ from, fromEnd, to, toEnd int }

func (r Rewriting) hunk(w io.Writer, before, after []string, moves []move) error {
	first, last := moves[0], moves[len(moves)-1]
	start := max(0, first.from-diffContext)
	end := min(len(before), last.fromEnd+diffContext)
	toStart := first.to - (first.from - start)
	toEnd := last.toEnd + end - last.fromEnd
	var b strings.Builder
	fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", start+1, end-start, toStart+1, toEnd-toStart)
	line := func(sign, text string) {
		b.WriteString(sign + redacted(strings.TrimSuffix(text, "\n"), r.hidden()) + "\n")
	}
	at := start
	for _, m := range moves {
		for ; at < m.from; at++ {
			line(" ", before[at])
		}
		for ; at < m.fromEnd; at++ {
			line("-", before[at])
		}
		for i := m.to; i < m.toEnd; i++ {
			line("+", after[i])
		}
	}
	for ; at < end; at++ {
		line(" ", before[at])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// hidden are the literals without a shape, which a diff would show.
func (r Rewriting) hidden() []rekey.Token {
	hidden := r.tokens
	for _, f := range r.Left {
		if !f.secret.IsZero() {
			hidden = append(hidden, f.secret)
		}
	}
	return hidden
}

func splitLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// lineMoves compares line by line; what is equal at both ends of a change is not
// part of it. Rewritings are small, so the comparison is plain.
func lineMoves(a, b []string) []move {
	n, m := len(a), len(b)
	head := 0
	for head < n && head < m && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < n-head && tail < m-head && a[n-1-tail] == b[m-1-tail] {
		tail++
	}
	x, y := a[head:n-tail], b[head:m-tail]
	if len(x)*len(y) > 4<<20 {
		return []move{{head, n - tail, head, m - tail}}
	}
	length := make([][]int32, len(x)+1)
	for i := range length {
		length[i] = make([]int32, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if length[i][j] = max(length[i+1][j], length[i][j+1]); x[i] == y[j] {
				length[i][j] = length[i+1][j+1] + 1
			}
		}
	}
	var moves []move
	for i, j := 0, 0; i < len(x) || j < len(y); {
		if i < len(x) && j < len(y) && x[i] == y[j] {
			i, j = i+1, j+1
			continue
		}
		one := move{from: head + i, to: head + j}
		for i < len(x) || j < len(y) {
			if i < len(x) && j < len(y) && x[i] == y[j] {
				break
			}
			if j == len(y) || i < len(x) && length[i+1][j] >= length[i][j+1] {
				i++
			} else {
				j++
			}
		}
		one.fromEnd, one.toEnd = head+i, head+j
		moves = append(moves, one)
	}
	return moves
}

// redacted shows the tokens in a text as kind and fingerprint.
func redacted(text string, hidden []rekey.Token) string {
	for _, t := range hidden {
		text = strings.ReplaceAll(text, t.Reveal(), "["+t.String()+"]")
	}
	raw := []byte(text)
	found := sightings(raw)
	var b bytes.Buffer
	end := 0
	for _, s := range found {
		if s.start < end || !s.issued() && !s.broken {
			continue
		}
		b.Write(raw[end:s.start])
		b.WriteString("[" + s.token.String() + "]")
		end = s.end
	}
	b.Write(raw[end:])
	return almost.ReplaceAllStringFunc(b.String(), func(text string) string {
		if fake(text) {
			return text
		}
		return "[" + rekey.NewToken(text).String() + "]"
	})
}

// almost is a token that lost characters, or one of a test: whatever it is, it is
// not shown.
var almost = lazyregexp.New(`\b(?:GR1348941|gl[a-z]{2,6}-)[\w-]{8,}`)
