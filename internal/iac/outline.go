package iac

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.yaml.in/yaml/v4"
	"mvdan.cc/sh/v3/syntax"
)

// part is one node of a text's syntax, at bytes of the file.
type part struct {
	kind string
	at   Span
}

// text is one text that a parser took, the file itself or one inside it.
type text struct {
	v      view
	format Format
	depth  int
}

// outline lists the nodes of a file and of every text in it that parses.
func outline(path string, raw []byte, format Format) []part {
	f := newFile(path, raw, format)
	f.every = true
	f.read(whole(raw), format, 0)
	var parts []part
	for _, t := range f.texts {
		nodes, err := nodesOf(t.v, t.format)
		if err != nil {
			continue
		}
		for _, n := range nodes {
			n.kind = fmt.Sprintf("%d %s %s", t.depth, t.format, n.kind)
			parts = append(parts, n)
		}
	}
	return parts
}

// nodesOf lists the syntax of one text; of a language without a parser the names
// and commands that were seen in it are not listed, for its bytes are all there is.
func nodesOf(v view, format Format) ([]part, error) {
	switch format {
	case FormatHCL:
		return hclNodes(v)
	case FormatShell:
		return shellNodes(v)
	case FormatYAML, FormatJSON:
		return yamlNodes(v)
	case FormatTOML, FormatDotenv, FormatDockerfile:
		f := newFile("", v.orig, format)
		f.read(whole(v.orig), format, deepest)
		var parts []part
		for _, s := range f.sites {
			if s.kind == siteField {
				at := s.name.span()
				parts = append(parts, part{"name", v.sub(at.Start, at.End).span()})
			}
		}
		return parts, nil
	}
	return nil, nil
}

func hclNodes(v view) ([]part, error) {
	parsed, diags := hclsyntax.ParseConfig(v.text, "", hcl.InitialPos)
	body, ok := bodyOf(parsed)
	if diags.HasErrors() || !ok {
		return nil, errors.New("no HCL")
	}
	var parts []part
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		r := n.Range()
		kind := fmt.Sprintf("%T", n)
		if b, ok := n.(*hclsyntax.Block); ok {
			r = hcl.RangeBetween(b.TypeRange, b.CloseBraceRange)
		}
		switch n.(type) {
		case hclsyntax.Attributes, hclsyntax.Blocks, *hclsyntax.Body, hclsyntax.ChildScope, *hclsyntax.LiteralValueExpr: // a literal of a heredoc is a line of it
			return nil
		}
		parts = append(parts, part{kind, v.sub(r.Start.Byte, r.End.Byte).span()})
		return nil
	})
	return parts, nil
}

func shellNodes(v view) ([]part, error) {
	tree, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(v.text), "")
	if err != nil {
		return nil, err
	}
	var parts []part
	syntax.Walk(tree, func(n syntax.Node) bool {
		switch n.(type) {
		case nil, *syntax.File, *syntax.Comment:
			return true
		}
		parts = append(parts, part{fmt.Sprintf("%T", n), v.sub(int(n.Pos().Offset()), int(n.End().Offset())).span()})
		return true
	})
	return parts, nil
}

func yamlNodes(v view) ([]part, error) {
	var parts []part
	start := 0
	for _, m := range append(documentMark.FindAllIndex(v.text, -1), []int{v.len(), v.len()}) {
		doc := v.sub(start, m[0])
		start = m[1]
		var root yaml.Node
		err := yaml.NewDecoder(bytes.NewReader(doc.text)).Decode(&root)
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, newYAMLReader(doc).nodes(&root, "")...)
	}
	return parts, nil
}

// nodes lists the scalars with what they stand in; collections begin and end with
// them.
func (r *yamlReader) nodes(n *yaml.Node, within string) []part {
	if len(within) > 200 {
		return nil
	}
	if len(n.Content) == 0 {
		at := r.v.sub(r.offset(n), r.offset(n)+1).span()
		if n.Kind == yaml.ScalarNode {
			at = r.scalar(n).span()
		}
		return []part{{fmt.Sprintf("%s%d", within, n.Kind), at}}
	}
	var parts []part
	for i, c := range n.Content {
		place := "-"
		if n.Kind == yaml.MappingNode {
			place = []string{"k", "v"}[i%2]
		}
		parts = append(parts, r.nodes(c, within+place)...)
	}
	return parts
}

// intact reports whether before and after have the same syntax outside what the
// edits changed: every node apart from them, or around them, is there as it was,
// and none is new but in what they brought.
func intact(before, after []part, s shift) bool {
	return carried(before, after, s) && carried(after, before, s.back())
}

func carried(from, to []part, s shift) bool {
	there := map[part]int{}
	for _, p := range to {
		there[p]++
	}
	for _, p := range from {
		apart, around := s.relation(p.at)
		if !apart && !around {
			continue
		}
		moved := part{p.kind, Span{s.to(p.at.Start), s.to(p.at.End)}}
		if p.at.End > p.at.Start {
			moved.at.End = s.to(p.at.End-1) + 1
		}
		if there[moved] == 0 {
			moved.at.End = s.to(p.at.End) // what came in right behind it may belong to it
		}
		if there[moved] == 0 {
			return false
		}
		there[moved]--
	}
	return true
}

// byAccident reports a template whose text happens to parse, or parses only with
// its marks masked: what its bytes mean is known when it is rendered.
func byAccident(raw []byte, format Format) bool {
	v := whole(raw)
	switch format {
	case FormatYAML, FormatHCL, FormatShell, FormatJSON:
	default:
		return jinjaStatement.Match(raw)
	}
	masked := untemplated(v)
	if format != FormatHCL {
		masked = unterraformed(masked)
	}
	if bytes.Equal(masked.text, raw) {
		return format == FormatShell && fillIn.Match(raw)
	}
	plain, err := nodesOf(v, format)
	if err != nil || format == FormatShell && fillIn.Match(raw) {
		return true
	}
	if format == FormatShell {
		return jinja.Match(raw) || jinjaStatement.Match(raw) || directive.Match(raw)
	}
	read, err := nodesOf(masked, format)
	if err != nil || len(read) != len(plain) {
		return format != FormatHCL
	}
	for i := range read {
		if read[i].kind != plain[i].kind {
			return true
		}
	}
	return false
}
