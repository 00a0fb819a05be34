package iac

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// hcl reads Terraform, OpenTofu and Packer.
func (f *file) hcl(v view, depth int) {
	masked := untemplated(v)
	parsed, diags := hclsyntax.ParseConfig(masked.text, "", hcl.InitialPos)
	if diags.HasErrors() || parsed == nil {
		masked = v
		parsed, diags = hclsyntax.ParseConfig(v.text, "", hcl.InitialPos)
	}
	body, ok := bodyOf(parsed)
	if diags.HasErrors() || !ok {
		f.failed(v, "HCL")
		f.patterns(v, FormatHCL, depth)
		return
	}
	r := &hclReader{f: f, v: masked, depth: depth}
	r.body(body, nil)
	f.mentionsOutside(v)
}

func bodyOf(file *hcl.File) (*hclsyntax.Body, bool) {
	if file == nil {
		return nil, false
	}
	body, ok := file.Body.(*hclsyntax.Body)
	return body, ok
}

// mentionsOutside blanks comments before it looks for phrases.
func (f *file) mentionsOutside(v view) {
	text := append([]byte(nil), v.text...)
	f.blankComments(v, text, FormatHCL)
	f.mentions(v.masked(text), FormatHCL)
}

type hclReader struct {
	f     *file
	v     view
	depth int
}

func (r *hclReader) at(rng hcl.Range) view { return r.v.sub(rng.Start.Byte, rng.End.Byte) }

func (r *hclReader) body(b *hclsyntax.Body, path []string) {
	for _, a := range b.Attributes {
		r.attribute(r.at(a.NameRange), a.Expr, path)
	}
	for _, block := range b.Blocks {
		r.block(block, path)
	}
}

func (r *hclReader) block(b *hclsyntax.Block, path []string) {
	s := site{kind: siteBlock, name: r.at(b.TypeRange), value: r.at(b.TypeRange).sub(0, 0), path: path}
	for _, l := range b.LabelRanges {
		s.words = append(s.words, wordOf(r.at(l)))
	}
	for _, a := range b.Body.Attributes {
		s.parts = append(s.parts, site{kind: siteField, name: r.at(a.NameRange), value: r.at(a.Expr.Range())})
	}
	r.f.see(s)
	inner := append(path[:len(path):len(path)], b.Type)
	inner = append(inner, b.Labels...)
	r.named(b.Body, inner)
	r.body(b.Body, inner)
}

// named reads blocks with a name and a value, as helm_release has for `set`.
func (r *hclReader) named(b *hclsyntax.Body, path []string) {
	chart, version := b.Attributes["chart"], b.Attributes["version"]
	if chart != nil && version != nil && bytes.HasSuffix(r.value(chart.Expr).orig, []byte("gitlab-runner")) {
		r.f.pin("chart", r.value(version.Expr))
	}
	name, value := b.Attributes["name"], b.Attributes["value"]
	if name == nil || value == nil || path[0] == "variable" {
		return
	}
	r.f.field(r.at(name.Expr.Range()).trim().unquote(), r.value(value.Expr), path, true)
}

func (r *hclReader) attribute(name view, expr hclsyntax.Expression, path []string) {
	r.f.field(name, r.value(expr), path, true)
	if n := name.String(); n == "description" || n == "error_message" {
		r.f.quiet = append(r.f.quiet, r.at(expr.Range()).span())
		return
	}
	r.expression(expr, name.String(), append(path[:len(path):len(path)], name.String()))
}

// value is what an expression gives: the text of a literal, else a reference.
func (r *hclReader) value(expr hclsyntax.Expression) view {
	text := r.at(expr.Range())
	switch e := expr.(type) {
	case *hclsyntax.TemplateExpr:
		if bytes.HasPrefix(text.text, []byte("<<")) || !e.IsStringLiteral() {
			return text.sub(0, 0).reference()
		}
		return text.unquote()
	case *hclsyntax.LiteralValueExpr:
		return text
	}
	return text.sub(0, 0).reference()
}

// expression reads the texts, lists and mappings in an expression.
func (r *hclReader) expression(expr hclsyntax.Expression, name string, path []string) {
	_ = hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.ObjectConsExpr:
			r.object(n, path)
		case *hclsyntax.TupleConsExpr:
			r.tuple(n)
		case *hclsyntax.TemplateExpr:
			r.template(n, name)
		}
		return nil
	})
}

func (r *hclReader) object(o *hclsyntax.ObjectConsExpr, path []string) {
	at := map[string]hclsyntax.Expression{}
	for _, item := range o.Items {
		key := r.at(item.KeyExpr.Range()).trim().unquote()
		at[key.String()] = item.ValueExpr
		r.f.field(key, r.value(item.ValueExpr), path, true)
	}
	if at["source"] != nil && at["version"] != nil && bytes.HasSuffix(r.value(at["source"]).orig, []byte("gitlabhq/gitlab")) {
		r.f.pin("provider", r.value(at["version"]))
	}
	for _, p := range pairNames {
		name, value := at[p[0]], at[p[1]]
		if name != nil && value != nil {
			r.f.field(r.at(name.Range()).trim().unquote(), r.value(value), path, true)
		}
	}
}

func (r *hclReader) tuple(t *hclsyntax.TupleConsExpr) {
	var words []word
	command := false
	for _, e := range t.Exprs {
		w := wordOf(r.at(e.Range()))
		command = command || bytes.HasPrefix(w.val.text, []byte("-")) || w.val.String() == "register"
		words = append(words, w)
		if m := listed.FindSubmatchIndex(w.val.text); m != nil {
			r.f.field(w.val.sub(m[2], m[3]), w.val.sub(m[1], w.val.len()), nil, true)
		}
	}
	if command {
		r.f.see(site{kind: siteCommand, words: words, text: "list"})
	}
}

// template reads a heredoc or a string with a script, values or a config in it.
func (r *hclReader) template(t *hclsyntax.TemplateExpr, name string) {
	text := r.at(t.Range())
	if bytes.HasPrefix(text.text, []byte("<<")) {
		start := bytes.IndexByte(text.text, '\n') + 1
		end := bytes.LastIndexByte(bytes.TrimRight(text.text, "\n"), '\n') + 1 // where the closing mark's line begins
		r.f.nested(unterraformed(text.sub(start, max(start, end))), name, r.depth)
		return
	}
	inner := text.unquote()
	if bytes.ContainsAny(inner.text, " ") || bytes.Contains(inner.text, []byte(`\n`)) {
		r.f.nested(unterraformed(inner.unescape()), name, r.depth)
	}
}
