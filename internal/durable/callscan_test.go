package durable

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// act is a durable call that may not be inside a point: where it stands and
// what it calls.
type act struct{ fn, what, at string }

func (a act) String() string { return a.fn + ": " + a.what }

// scan looks for durable calls in the source of one package, by syntax alone:
// names are told apart by how they are declared in the package.
type scan struct {
	fset     *token.FileSet
	pkg      string
	carriers []string // "pkg.Name": function literals given to it run inside a point
	readers  []string // "pkg.Name": function literals given to it only read
	files    map[string]bool
	acts     []act
	uses     map[string][]use // of the package's functions and methods, by name
}

// use is one mention of a function: inside a point, or within a function that
// may be called only from inside one.
type use struct {
	inside bool
	from   string
}

func scanDir(dir string, carriers, readers []string) ([]act, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	sources := map[string][]byte{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if sources[name], err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	return scanSources(filepath.Base(dir), sources, carriers, readers)
}

func scanSources(pkg string, sources map[string][]byte, carriers, readers []string) ([]act, error) {
	s := &scan{fset: token.NewFileSet(), pkg: pkg, carriers: carriers, readers: readers,
		files: map[string]bool{}, uses: map[string][]use{}}
	var trees []*ast.File
	for name, source := range sources {
		tree, err := parser.ParseFile(s.fset, name, source, 0)
		if err != nil {
			return nil, err
		}
		trees = append(trees, tree)
		ast.Inspect(tree, s.noteFiles)
	}
	for _, tree := range trees {
		for _, decl := range tree.Decls {
			name := "init"
			if fn, ok := decl.(*ast.FuncDecl); ok {
				name = key(fn)
			}
			ast.Walk(&walker{scan: s, fn: name}, decl)
		}
	}
	acts := slices.DeleteFunc(s.acts, func(a act) bool { return s.onlyInside(a.fn, nil) })
	for i := range acts {
		acts[i].fn = last(acts[i].fn)
	}
	slices.SortFunc(acts, func(a, b act) int { return strings.Compare(a.at, b.at) })
	return acts, nil
}

// key is the name of a function, and a dot and the name of a method: a field may
// have the name of a function.
func key(fn *ast.FuncDecl) string {
	if fn.Recv != nil {
		return "." + fn.Name.Name
	}
	return fn.Name.Name
}

// onlyInside reports whether every use of fn is inside a point.
func (s *scan) onlyInside(fn string, seen []string) bool {
	if slices.Contains(seen, fn) {
		return true
	}
	uses := s.uses[fn]
	if len(uses) == 0 || ast.IsExported(last(fn)) {
		return false
	}
	return !slices.ContainsFunc(uses, func(u use) bool {
		return !u.inside && !s.onlyInside(u.from, append(seen, fn))
	})
}

// noteFiles collects the names that stand for an *os.File.
func (s *scan) noteFiles(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.Field:
		if isFile(n.Type) {
			s.noteNames(n.Names)
		}
	case *ast.ValueSpec:
		if n.Type != nil && isFile(n.Type) {
			s.noteNames(n.Names)
		}
	case *ast.AssignStmt:
		call, ok := n.Rhs[0].(*ast.CallExpr)
		if ok && slices.Contains([]string{"os.Open", "os.OpenFile", "os.Create", "os.CreateTemp", "os.NewFile"}, dotted(call.Fun)) {
			s.files[last(dotted(n.Lhs[0]))] = true
		}
	}
	return true
}

func (s *scan) noteNames(names []*ast.Ident) {
	for _, name := range names {
		s.files[name.Name] = true
	}
}

func isFile(t ast.Expr) bool {
	star, ok := t.(*ast.StarExpr)
	return ok && dotted(star.X) == "os.File"
}

type walker struct {
	*scan
	fn      string
	inside  bool // within a function literal given to a carrier
	reading bool // within one given to a reader
}

func (w *walker) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.FuncDecl:
		if n.Body != nil {
			ast.Walk(w, n.Body)
		}
		return nil
	case *ast.Field: // its name is no mention
		ast.Walk(w, n.Type)
		return nil
	case *ast.CallExpr:
		return w.call(n)
	case *ast.SelectorExpr:
		w.mention("." + n.Sel.Name)
		ast.Walk(w, n.X)
		return nil
	case *ast.Ident:
		w.mention(n.Name)
	}
	return w
}

func (w *walker) mention(name string) {
	w.uses[name] = append(w.uses[name], use{w.inside, w.fn})
}

func (w *walker) call(call *ast.CallExpr) ast.Visitor {
	name := dotted(call.Fun)
	if what := w.durable(name, call); what != "" && !w.inside && (!w.reading || !strings.HasSuffix(what, ".Do")) {
		w.acts = append(w.acts, act{w.fn, what, w.fset.Position(call.Pos()).String()})
	}
	into := *w
	if own := w.pkg + "." + last(name); name == "durable.Call" || slices.Contains(w.carriers, own) {
		into.inside = true
	} else if slices.Contains(w.readers, own) {
		into.reading = true
	}
	ast.Walk(w, call.Fun)
	for _, arg := range call.Args {
		ast.Walk(&into, arg)
	}
	return nil
}

var (
	durablePackageCalls = regexp.MustCompile(`^(?:os\.(?:Rename|WriteFile|Create|CreateTemp|MkdirTemp|Remove|RemoveAll|Truncate|Mkdir|MkdirAll|Link|Symlink|Chmod|Chown|Lchown|Chtimes)|` +
		`(?:unix|syscall)\.(?:Rename\w*|Kill|Tgkill|PidfdSendSignal|Unlink\w*|F?L?setxattr|Setxattr|Fallocate|Ftruncate|Fsync|P?write\w*)|http\.Post\w*)$`)
	fileMethods   = []string{"Write", "WriteAt", "WriteString", "ReadFrom", "Sync", "Truncate", "Chmod", "Chown"}
	clientChanges = regexp.MustCompile(`(?:^|\.)api\.\w+\.(?:Create|Update|Delete|Remove|Reset|Register|Verify|Enable|Disable|Cancel|Edit|Retry|Play|Run)\w*$`)
	changeMethods = []string{"http.MethodPost", "http.MethodPut", "http.MethodPatch", "http.MethodDelete"}
)

// durable returns what the call does if it is one that changes something outside
// the process.
func (w *walker) durable(name string, call *ast.CallExpr) string {
	method := last(name)
	receiver := last(strings.TrimSuffix(name, "."+method))
	_, isFunc := firstArg(call).(*ast.FuncLit)
	switch {
	case durablePackageCalls.MatchString(name), clientChanges.MatchString(name):
		return name
	case name == "os.OpenFile" && creates(call):
		return name
	case !strings.Contains(name, "."):
		return ""
	case method == "Do" && !isFunc, method == "RoundTrip", method == "Signal" && len(call.Args) > 0, method == "Kill" && len(call.Args) == 0:
		return "." + method
	case method == "NewRequest" && w.reading && slices.ContainsFunc(call.Args, func(a ast.Expr) bool { return slices.Contains(changeMethods, dotted(a)) }):
		return "a change in a read"
	case slices.Contains(fileMethods, method) && w.files[receiver]:
		return "File." + method
	}
	return ""
}

func creates(call *ast.CallExpr) bool {
	found := false
	ast.Inspect(call, func(n ast.Node) bool {
		e, ok := n.(*ast.SelectorExpr)
		found = found || ok && slices.Contains([]string{"O_CREATE", "O_TRUNC"}, e.Sel.Name)
		return true
	})
	return found
}

func firstArg(call *ast.CallExpr) ast.Expr {
	if len(call.Args) == 0 {
		return nil
	}
	return call.Args[0]
}

// dotted writes a chain of selectors as a.b.c; a call or index in it is a "?".
func dotted(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return dotted(e.X) + "." + e.Sel.Name
	case *ast.ParenExpr:
		return dotted(e.X)
	case *ast.IndexExpr:
		return dotted(e.X)
	}
	return fmt.Sprintf("?%T", e)[:1]
}

func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
