package iac

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// Examine reads one text, called path, and judges what it says for target. raw
// stays as it is and is not kept. What was suppressed by a comment is returned
// with its reason. It does no I/O and is safe for concurrent use.
func Examine(path string, raw []byte, target Target) []Finding {
	return examineAs(path, raw, formatOf(path, raw), target)
}

func examineAs(path string, raw []byte, format Format, target Target) []Finding {
	f := newFile(path, raw, format)
	f.lean = true
	if format != FormatText {
		f.read(whole(raw), format, 0)
		f.images(whole(raw))
	}
	j := &judge{f: f, target: target}
	raised := j.all()
	findings := make([]Finding, 0, len(raised))
	twins := map[string]int{}
	for _, r := range raised {
		one := f.finding(r, target)
		one.imprint = imprint(one.Slug, f.lineText(one.Line), r.token, twins)
		one.Fingerprint = fingerprint(relative(path), one.imprint)
		findings = append(findings, one)
	}
	if len(findings) > 0 {
		findings = append(findings, f.unparsed()...)
	}
	f.suppress(findings)
	return findings
}

func (f *file) finding(r raised, target Target) Finding {
	e := entryOf(r.slug)
	one := Finding{
		Slug: r.slug, Code: e.Code(), Severity: target.severity(r), Path: f.path,
		Line: f.line(r.where.Start), Column: f.column(r.where.Start), EndLine: f.line(max(r.where.Start, r.where.End-1)),
		Message: message(e, r, target), Evidence: evidence(r), Remedy: e.Remedy,
		Fixable: e.Fixable && len(f.unread) == 0 && !r.weak && f.rewritable() && !(r.info && r.slug == Legacy), Docs: e.Docs(), Format: f.format,
		Where: r.where, Value: r.value, Command: r.command, secret: r.token,
	}
	if !r.token.IsZero() {
		one.Token = &r.token
	}
	if r.slug == Hardcoded {
		one.Remedy = RotateCommand(r.token) + " Then keep the new one in a secret store, and refer to it."
	}
	return one
}

// rewritable reports a file that is rewritten: texts for people are not, and the
// state of Terraform is its own.
func (f *file) rewritable() bool {
	return f.format != FormatText && f.format != FormatDocument && !strings.Contains(strings.ToLower(f.path), ".tfstate")
}

func evidence(r raised) string {
	if r.token.IsZero() {
		return r.evidence
	}
	return r.evidence + ", " + r.token.String()
}

// message says what the finding means on the server at hand.
func message(e Entry, r raised, target Target) string {
	switch r.slug {
	case Legacy, ServerLegacy:
		v := target.GitLab
		where := fmt.Sprintf("GitLab %d.%d", v.Major, v.Minor)
		switch {
		case target.RegistrationRefused:
			return e.Meaning + " This GitLab refuses that: registration tokens are switched off."
		case v.IsZero():
			return e.Meaning + " GitLab.com and every server where it was switched off refuse that; GitLab 20.0 is planned to."
		case v.AtLeast(20, 0):
			return e.Meaning + " " + where + " has no registration tokens any more."
		case v.AtLeast(17, 0):
			return e.Meaning + " " + where + " refuses that on GitLab.com, and elsewhere where an administrator or group owner switched it off."
		case v.AtLeast(16, 0):
			return e.Meaning + " " + where + " still takes it unless it was switched off."
		default:
			return e.Meaning + " " + where + " has no other way by default; plan the change for the upgrade to 16.0 or later."
		}
	}
	return e.Meaning
}

// unparsed tells where patterns had to do.
func (f *file) unparsed() []Finding {
	var found []Finding
	for i, u := range f.unread {
		if i == 3 {
			break
		}
		found = append(found, unparsed(f.path, u.line, f.format, fmt.Sprintf("the text at line %d does not parse as %s and was read by patterns", u.line, u.language)))
	}
	return found
}

func unparsed(path string, line int, format Format, text string) Finding {
	e := entryOf(NotParsed)
	mark := imprint(NotParsed, []byte(text), rekey.Token{}, map[string]int{})
	return Finding{Slug: NotParsed, Code: e.Code(), Severity: rekey.Info, Path: path, Line: line, Column: 1, EndLine: line,
		Message: e.Meaning, Evidence: text, Remedy: e.Remedy, Docs: e.Docs(), Format: format,
		imprint: mark, Fingerprint: fingerprint(relative(path), mark)}
}

// imprint survives edits elsewhere in the file: it knows the line's text, not its
// number. Equal lines are counted.
func imprint(slug Slug, line []byte, token rekey.Token, twins map[string]int) string {
	h := sha256.New()
	fmt.Fprintf(h, "rekey audit v2\x00%s\x00%s\x00%s", slug, token.Fingerprint(), bytes.Join(bytes.Fields(line), []byte(" ")))
	key := string(h.Sum(nil))
	twins[key]++
	fmt.Fprintf(h, "\x00%d", twins[key])
	return string(h.Sum(nil))
}

// fingerprint is what a baseline keeps of a finding in a file.
func fingerprint(path, imprint string) string {
	sum := sha256.Sum256([]byte(path + "\x00" + imprint))
	return hex.EncodeToString(sum[:12])
}

var ignoreMark = lazyregexp.New(`rekey:ignore[ \t]+([\w-]+|\*)[ \t]*([^\r\n]*)`)

// suppress marks findings that a comment on their line, or on the line above that
// holds nothing else, tells to ignore.
func (f *file) suppress(findings []Finding) {
	if !bytes.Contains(f.raw, []byte("rekey:ignore")) {
		return
	}
	for i := range findings {
		one := &findings[i]
		for _, n := range []int{one.Line, one.Line - 1} {
			line := f.lineText(n)
			m := ignoreMark.FindSubmatchIndex(line)
			if m == nil || n != one.Line && !onlyComment(line[:m[0]]) {
				continue
			}
			if slug := Slug(strings.ToLower(string(line[m[2]:m[3]]))); slug == one.Slug || slug == "*" {
				one.Suppressed = ignoreReason(string(line[m[4]:m[5]]))
			}
		}
	}
}

func onlyComment(before []byte) bool {
	return strings.Trim(string(before), " \t#/*<!-;") == "" || strings.TrimSpace(strings.TrimLeft(string(before), "/#*<!-; \t")) == ""
}

func ignoreReason(text string) string {
	text = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(text), "*/->#}"))
	if text == "" {
		return "no reason given"
	}
	return text
}
