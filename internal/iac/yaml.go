package iac

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"rekey/internal/lazyregexp"
)

var documentMark = lazyregexp.New(`(?m)^---(?:[ \t].*)?\r?$`)

// yaml reads YAML and JSON, document by document: one that does not parse is read
// by patterns and takes none of the others with it.
func (f *file) yaml(v view, format Format, depth int) {
	v = untemplated(v)
	if format == FormatYAML {
		v = unlined(unterraformed(v))
	}
	start := 0
	for _, m := range append(documentMark.FindAllIndex(v.text, -1), []int{v.len(), v.len()}) {
		if doc := v.sub(start, m[0]); doc.len() > 0 {
			f.document(doc, format, depth)
		}
		start = m[1]
	}
}

func (f *file) document(v view, format Format, depth int) {
	var root yaml.Node
	err := yaml.NewDecoder(bytes.NewReader(v.text)).Decode(&root)
	if errors.Is(err, io.EOF) {
		return
	}
	if err != nil {
		f.failed(v, strings.ToUpper(string(format)))
		f.patterns(v, FormatUnknown, depth)
		return
	}
	r := newYAMLReader(v)
	r.f, r.depth = f, depth
	r.node(&root, nil)
}

// newYAMLReader reads one document.
func newYAMLReader(v view) *yamlReader {
	r := &yamlReader{v: v}
	for i := 0; i >= 0 && i < v.len(); {
		r.lines = append(r.lines, i)
		n := bytes.IndexByte(v.text[i:], '\n')
		if n < 0 {
			break
		}
		i += n + 1
	}
	return r
}

type yamlReader struct {
	f     *file
	v     view
	depth int
	lines []int
	level int

	marked int // the line that marks are of
	marks  []int
}

// offset says where in the text a node begins; the parser counts characters.
func (r *yamlReader) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(r.lines) {
		return r.v.len()
	}
	i, c := r.lines[n.Line-1], 1
	if marks := r.marksOf(n.Line); len(marks) > 0 {
		k := min((n.Column-1)/stride, len(marks)-1)
		i, c = marks[k], 1+k*stride
	}
	for ; c < n.Column && i < r.v.len(); c++ {
		_, size := utf8.DecodeRune(r.v.text[i:])
		i += size
	}
	return i
}

// stride is how many characters of a long line one mark stands for.
const stride = 256

// marksOf says where in a long line each stride of characters begins, so that a
// document on one line is not gone through anew for each of its nodes.
func (r *yamlReader) marksOf(line int) []int {
	if r.marked == line {
		return r.marks
	}
	start, end := r.lines[line-1], r.v.len()
	if line < len(r.lines) {
		end = r.lines[line]
	}
	if end-start < 4*stride {
		return nil
	}
	r.marked, r.marks = line, nil
	for i, c := start, 0; i < end; c++ {
		if c%stride == 0 {
			r.marks = append(r.marks, i)
		}
		_, size := utf8.DecodeRune(r.v.text[i:])
		i += size
	}
	return r.marks
}

func (r *yamlReader) node(n *yaml.Node, path []string) {
	if r.level++; r.level > 200 {
		r.level--
		return
	}
	defer func() { r.level-- }()
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			r.node(c, path)
		}
	case yaml.MappingNode:
		r.mapping(n, path)
	case yaml.SequenceNode:
		r.sequence(n, path)
	case yaml.ScalarNode:
		r.lone(n, path)
	}
}

// speechKeys are texts for people.
var speechKeys = map[string]bool{"name": true, "description": true, "title": true, "help": true, "comment": true, "fail_msg": true, "success_msg": true, "when": true, "if": true,
	"displayname": true, "summary": true, "documentation": true, "constraintdescription": true, "it": true, "register": true}

// speech reports a key whose value is a text for people; Salt calls a command its
// name.
func (r *yamlReader) speech(key string, path []string) bool {
	salt := len(path) > 1 && strings.HasPrefix(path[len(path)-2], "cmd.")
	return speechKeys[strings.ToLower(key)] && !salt
}

func (r *yamlReader) mapping(n *yaml.Node, path []string) {
	r.pairs(n, path)
	if product := r.product(n); product != "" {
		path = append(path[:len(path):len(path)], product)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := r.scalar(key)
		inner := append(path[:len(path):len(path)], key.Value)
		switch value.Kind {
		case yaml.ScalarNode:
			r.entry(key, value, name, path)
		case yaml.MappingNode:
			if refers(value) {
				r.f.field(name, name.sub(0, 0).reference(), path, true)
			} else {
				r.f.field(name, name.sub(0, 0), path, false)
			}
			r.node(value, inner)
		case yaml.AliasNode:
			r.f.field(name, name.sub(0, 0).reference(), path, true)
		default:
			r.node(value, inner)
		}
	}
}

func (r *yamlReader) entry(key, value *yaml.Node, name view, path []string) {
	text := r.scalar(value)
	if tagged(value) {
		text = text.sub(0, 0).reference()
	}
	r.f.field(name, text, path, true)
	if debugged(key.Value, path) {
		r.f.see(site{kind: siteEcho, name: name, value: text, words: r.shown(key.Value, text)})
	}
	if !r.speech(key.Value, path) && !tagged(value) {
		r.f.nested(r.plain(value, text), key.Value, r.depth)
	}
}

// plain is a scalar as the program that gets it reads it.
func (r *yamlReader) plain(n *yaml.Node, text view) view {
	if n.Style&yaml.DoubleQuotedStyle != 0 {
		return text.unescape()
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && bytes.IndexByte(text.text, '\n') >= 0 {
		return fold(text)
	}
	return text
}

// tagged reports a value that a function of CloudFormation, GitLab or Ansible
// makes; !Sub leaves a text that can be read.
func tagged(n *yaml.Node) bool {
	return strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") && n.Tag != "!Sub" && n.Tag != "!unsafe"
}

// refers reports a mapping that stands for a value kept elsewhere.
func refers(n *yaml.Node) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key := n.Content[i].Value; {
		case strings.HasPrefix(key, "Fn::"), key == "Ref", key == "secretKeyRef", key == "valueFrom", key == "configMapKeyRef", key == "from_secret", key == "vault", key == "secretRef":
			return true
		}
	}
	return false
}

// debugged reports the message of a task that prints.
func debugged(key string, path []string) bool {
	if len(path) == 0 {
		return false
	}
	parent := path[len(path)-1]
	return (key == "msg" || key == "var") && (parent == "debug" || parent == "ansible.builtin.debug")
}

var jinjaName = lazyregexp.New(`[A-Za-z_]\w*`)

// shown returns the variables that a debug task prints.
func (r *yamlReader) shown(key string, text view) []word {
	var found []word
	parts := [][]int{{0, text.len()}}
	if key == "msg" {
		parts = jinja.FindAllIndex(text.orig, -1)
	}
	for _, p := range parts {
		for _, m := range jinjaName.FindAllIndex(text.orig[p[0]:p[1]], -1) {
			w := text.sub(p[0]+m[0], p[0]+m[1])
			found = append(found, word{view: w, val: w})
		}
	}
	return found
}

// product names the image of a container, so that a variable of another product
// is known for one.
func (r *yamlReader) product(n *yaml.Node) string {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i].Value; k == "image" && n.Content[i+1].Kind == yaml.ScalarNode {
			return "image " + n.Content[i+1].Value
		}
	}
	return ""
}

func (r *yamlReader) sequence(n *yaml.Node, path []string) {
	var words []word
	command := false
	for i, c := range n.Content {
		if c.Kind != yaml.ScalarNode {
			r.node(c, append(path[:len(path):len(path)], fmt.Sprint(i)))
			continue
		}
		text := r.scalar(c)
		w := word{view: text, val: text}
		words = append(words, w)
		command = command || bytes.HasPrefix(text.text, []byte("-")) || c.Value == "register"
		r.lone(c, path)
	}
	if command {
		r.f.see(site{kind: siteCommand, words: words, text: "list"})
	}
}

var listed = lazyregexp.New(`^([A-Za-z_][\w.-]*)=`)

// lone is a scalar in a list: NAME=VALUE of an environment, a command line, an
// argument.
func (r *yamlReader) lone(n *yaml.Node, path []string) {
	text := r.scalar(n)
	if m := listed.FindSubmatchIndex(text.text); m != nil {
		r.f.field(text.sub(m[2], m[3]), text.sub(m[1], text.len()).unquote(), path, true)
	}
	if bytes.ContainsAny(text.text, " \n") {
		hint := ""
		if len(path) > 0 {
			hint = path[len(path)-1]
		}
		r.f.nested(r.plain(n, text), hint, r.depth)
	}
}
