package cli

import (
	"fmt"
	"strings"

	"rekey/internal/iac"
)

// auditRewritten shows what was, or would be, rewritten: the diffs, and what they
// leave to be done. It reports whether that says it all, as diffs do.
func (c *command) auditRewritten(r iac.Report) bool {
	if len(r.Rewritten) == 0 {
		return false
	}
	p := c.paper()
	changed, fixed, written := 0, 0, false
	for _, f := range r.Rewritten {
		if f.Changed {
			changed++
			fixed += f.Fixed
			written = written || f.Written
		}
		p.rewritten(f)
	}
	if written {
		p.line("%s rewritten, %s mended; what is left:", plural(changed, "file", "files"), plural(fixed, "finding", "findings"))
	} else if changed > 0 {
		p.line("%s would be rewritten and %s mended: rekey audit --fix writes it.", plural(changed, "file", "files"), plural(fixed, "finding", "findings"))
	}
	if !written && changed > 0 {
		return true
	}
	p.line("")
	return false
}

func (p *paper) rewritten(f iac.RewrittenFile) {
	switch {
	case f.Written && f.Fixed == 0:
		p.line("%s: what has to be decided is in a comment", p.bold(f.Path))
	case f.Written:
		p.line("%s: %s mended", p.bold(f.Path), plural(f.Fixed, "finding", "findings"))
	case f.Changed:
		for line := range strings.Lines(f.Diff) {
			p.line("%s", p.diffLine(strings.TrimSuffix(line, "\n")))
		}
	case f.Refused != "":
		p.line("%s: left as it is", p.bold(f.Path))
	default:
		p.line("%s: nothing more to write; what is left is for somebody to decide", p.bold(f.Path))
	}
	if f.Dirty {
		p.wrapped("  ", "git has uncommitted changes of this file: look at both together")
	}
	if f.Refused != "" {
		p.wrapped("  ", map[bool]string{true: "a part was not rewritten: ", false: "not rewritten: "}[f.Changed]+f.Refused)
	}
	for _, n := range f.Notes {
		p.wrapped("  ", fmt.Sprintf("no comment could say it: %s", n))
	}
}

func (p *paper) diffLine(line string) string {
	switch {
	case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		return p.bold(line)
	case strings.HasPrefix(line, "+"):
		return p.green(line)
	case strings.HasPrefix(line, "-"):
		return p.red(line)
	}
	return line
}
