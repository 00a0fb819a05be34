package iac

import (
	"bytes"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"rekey/internal/lazyregexp"
)

// Provider names: https://registry.terraform.io/providers/gitlabhq/gitlab documents
// both resources and their attributes.
const (
	legacyResource = "gitlab_runner"
	runnerResource = "gitlab_user_runner"
)

// ownerToken is where a registration token comes from when it tells whose runner
// it makes.
var ownerToken = lazyregexp.New(`^((?:data\.)?gitlab_(group|project)\.[\w-]+(?:\[[^\]]*\])?)\.runners_token$`)

// scopeOf says what a registration token is for, as an attribute of
// gitlab_user_runner.
func scopeOf(expression string) (kind, attribute, id string, known bool) {
	m := ownerToken.FindStringSubmatch(strings.TrimSpace(expression))
	if m == nil {
		return "", "", "", false
	}
	return m[2] + "_type", m[2] + "_id", m[1] + ".id", true
}

// terraform reports a file that declares resources; .tfvars hold values alone.
func terraform(path string) bool {
	return strings.HasSuffix(path, ".tf") || strings.HasSuffix(path, ".tofu")
}

// resources moves gitlab_runner to gitlab_user_runner where the owner is told by
// the registration token, and the references to it, in other files of the module
// too.
func (w *rewriter) resources() {
	if w.f.format != FormatHCL || !terraform(w.f.path) {
		return
	}
	parsed, diags := hclsyntax.ParseConfig(w.f.raw, "", hcl.InitialPos)
	body, ok := bodyOf(parsed)
	if diags.HasErrors() || !ok {
		return
	}
	moving := movable(w.f.raw)
	for _, other := range w.o.Beside {
		for name := range movable(other) {
			moving[name] = true
		}
	}
	for _, b := range body.Blocks {
		if b.Type != "resource" || len(b.Labels) != 2 || b.Labels[0] != legacyResource {
			continue
		}
		if moving[b.Labels[1]] {
			w.moveResource(b)
		} else {
			w.decideResource(b)
		}
	}
	w.references(body, moving)
}

// movable are the names of the runners in a text whose owner is told.
func movable(raw []byte) map[string]bool {
	names := map[string]bool{}
	if !bytes.Contains(raw, []byte(legacyResource)) {
		return names
	}
	parsed, diags := hclsyntax.ParseConfig(raw, "", hcl.InitialPos)
	body, ok := bodyOf(parsed)
	if diags.HasErrors() || !ok {
		return names
	}
	for _, b := range body.Blocks {
		if b.Type != "resource" || len(b.Labels) != 2 || b.Labels[0] != legacyResource {
			continue
		}
		if a := b.Body.Attributes["registration_token"]; a != nil {
			if _, _, _, ok := scopeOf(string(a.Expr.Range().SliceBytes(raw))); ok {
				names[b.Labels[1]] = true
			}
		}
	}
	return names
}

func spanOf(r hcl.Range) Span { return Span{r.Start.Byte, r.End.Byte} }

func (w *rewriter) moveResource(b *hclsyntax.Block) {
	token := b.Body.Attributes["registration_token"]
	kind, attribute, id, ok := scopeOf(w.bytes(spanOf(token.Expr.Range())))
	if !ok {
		return
	}
	label := spanOf(b.LabelRanges[0])
	c := change{where: label.Start}
	c.edits = append(c.edits, edited(w.f.raw, label, strings.Replace(w.bytes(label), legacyResource, runnerResource, 1)))
	w.decided = append(w.decided, spanOf(hcl.RangeBetween(b.TypeRange, b.CloseBraceRange)))
	indent := w.indent(token.NameRange.Start.Byte)
	c.edits = append(c.edits, edited(w.f.raw, spanOf(token.SrcRange), aligned("runner_type", token)+`"`+kind+`"`+"\n"+indent+aligned(attribute, token)+id))
	if a := b.Body.Attributes["run_untagged"]; a != nil {
		c.edits = append(c.edits, edited(w.f.raw, Span{a.NameRange.Start.Byte, a.EqualsRange.End.Byte}, strings.TrimSuffix(aligned("untagged", a), " ")))
	}
	if end := b.CloseBraceRange.End.Byte; !strings.Contains(string(w.f.raw), "from = "+legacyResource+"."+b.Labels[1]) {
		c.edits = append(c.edits, inserted(end, removedBlock(b.Labels[1])))
	}
	w.add(c)
}

// aligned is a name with the blanks that line its value up as before.
func aligned(name string, like *hclsyntax.Attribute) string {
	width := like.EqualsRange.Start.Byte - like.NameRange.Start.Byte
	return name + strings.Repeat(" ", max(1, width-len(name))) + "= "
}

func (w *rewriter) indent(at int) string {
	start := bytes.LastIndexByte(w.f.raw[:at], '\n') + 1
	line := w.f.raw[start:at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// removedBlock forgets the runner that was registered and leaves it in GitLab: its
// machines use it until they get the new token. It is not imported under the new
// name, for a token cannot be imported.
func removedBlock(name string) string {
	return `

# rekey: the runner registered before stays in GitLab until its machines have the
#   new token; then delete it there. Needs Terraform 1.7 or OpenTofu 1.10; with older
#   ones drop this block and run: terraform state rm '` + legacyResource + `.` + name + `'
removed {
  from = ` + legacyResource + `.` + name + `

  lifecycle {
    destroy = false
  }
}`
}

// decideResource says what is missing: who the runner is for.
func (w *rewriter) decideResource(b *hclsyntax.Block) {
	name := b.Labels[1]
	at := b.TypeRange.Start.Byte
	w.decided = append(w.decided, spanOf(hcl.RangeBetween(b.TypeRange, b.CloseBraceRange)))
	if w.instructed(at) {
		return
	}
	w.add(change{where: at, comment: []string{
		"gitlab_runner takes a registration token, which does not tell whose runner this is. Once that is known:",
		`resource "gitlab_user_runner" "` + name + `" with runner_type = "group_type" and group_id, "project_type" and project_id, or`,
		`"instance_type", instead of registration_token; untagged instead of run_untagged; .token instead of .authentication_token;`,
		"and removed { from = gitlab_runner." + name + " } with lifecycle { destroy = false }; an import block would bring no token",
	}})
}

// behindToken is the attribute of gitlab_runner that has another name now.
var behindToken = lazyregexp.New(`\.(authentication_token)\b`)

// references follow a resource to its new name, and its token's attribute wherever
// an expression that reads the resource names it.
func (w *rewriter) references(body *hclsyntax.Body, moving map[string]bool) {
	c := change{}
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		a, ok := n.(*hclsyntax.Attribute)
		if !ok {
			return nil
		}
		all, some := true, false
		for _, t := range a.Expr.Variables() {
			if t.RootName() != legacyResource || len(t) < 2 {
				continue
			}
			name, named := t[1].(hcl.TraverseAttr)
			if !named || !moving[name.Name] {
				all = false
				continue
			}
			some = true
			c.edits = append(c.edits, edited(w.f.raw, spanOf(t[0].SourceRange()), runnerResource))
		}
		if all && some {
			at := spanOf(a.Expr.Range())
			for _, m := range behindToken.FindAllSubmatchIndex(w.f.raw[at.Start:at.End], -1) {
				c.edits = append(c.edits, edited(w.f.raw, Span{at.Start + m[2], at.Start + m[3]}, "token"))
			}
		}
		return nil
	})
	keep := c.edits[:0]
	for _, e := range c.edits {
		if !inRemoved(body, e.at) {
			keep = append(keep, e)
		}
	}
	if c.edits = keep; len(c.edits) > 0 {
		c.where = c.edits[0].at.Start
		w.add(c)
	}
}

func inRemoved(body *hclsyntax.Body, at Span) bool {
	for _, b := range body.Blocks {
		r := spanOf(hcl.RangeBetween(b.TypeRange, b.CloseBraceRange))
		if (b.Type == "removed" || b.Type == "moved") && at.Start >= r.Start && at.End <= r.End {
			return true
		}
	}
	return false
}

// inHCL refers to a variable of the module, which is declared where it is not yet.
func (w *rewriter) inHCL(at Span, variable string) []edit {
	name := strings.ToLower(variable)
	for _, s := range w.f.sites {
		if s.kind == siteField && s.value.at != nil && s.value.len() > 0 && s.value.span() == at {
			if line, own := w.ownLine(s); own && (strings.HasSuffix(w.f.path, ".tfvars") || len(s.path) > 1 && s.path[0] == "variable") {
				return []edit{line} // the environment gives it: TF_VAR_…
			}
		}
	}
	if !terraform(w.f.path) {
		return w.empty(at)
	}
	var edits []edit
	if w.quoted(at) {
		edits = []edit{edited(w.f.raw, Span{at.Start - 1, at.End + 1}, "var."+name)}
	} else {
		edits = []edit{edited(w.f.raw, at, "${var."+name+"}")}
	}
	if !w.tops[name] && !w.declared(name) {
		w.tops[name] = true
		lead := "\n"
		if !bytes.HasSuffix(w.f.raw, []byte("\n")) {
			lead = "\n\n"
		}
		edits = append(edits, inserted(len(w.f.raw), lead+"variable \""+name+"\" {\n  type      = string\n  sensitive = true\n}\n"))
	}
	return edits
}

func (w *rewriter) declared(name string) bool {
	text := []byte(`variable "` + name + `"`)
	for _, other := range append([][]byte{w.f.raw}, w.o.Beside...) {
		if bytes.Contains(other, text) {
			return true
		}
	}
	return false
}
