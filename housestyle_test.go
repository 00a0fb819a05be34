package rekey_test

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestEveryPackageHasAComment(t *testing.T) {
	t.Parallel()
	comments := map[string]string{}
	for _, file := range parsedTree(t) {
		if !file.test() {
			comments[file.dir] += file.ast.Doc.Text()
		}
	}
	for dir, text := range comments {
		if len(strings.Fields(text)) < 8 {
			t.Errorf("package %s has no comment saying what it owns and what it refuses: %q", dir, text)
		}
	}
}

func TestEveryExportedNameHasAComment(t *testing.T) {
	t.Parallel()
	for _, file := range parsedTree(t) {
		if file.test() {
			continue
		}
		for _, decl := range file.ast.Decls {
			for _, name := range undocumented(decl) {
				t.Errorf("%s: exported %s has no comment that states its contract", file.at(name), name.Name)
			}
		}
	}
}

// undocumented returns the exported names of a declaration without a comment
// above them, above their group or beside them.
func undocumented(decl ast.Decl) []*ast.Ident {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Doc == nil && decl.Name.IsExported() && exportedReceiver(decl) && !selfExplaining[decl.Name.Name] {
			return []*ast.Ident{decl.Name}
		}
	case *ast.GenDecl:
		if decl.Doc != nil && (decl.Lparen.IsValid() || len(decl.Specs) == 1) {
			return nil
		}
		var found []*ast.Ident
		for _, spec := range decl.Specs {
			found = append(found, undocumentedSpec(spec)...)
		}
		return found
	}
	return nil
}

func undocumentedSpec(spec ast.Spec) []*ast.Ident {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
			return []*ast.Ident{spec.Name}
		}
	case *ast.ValueSpec:
		if spec.Doc == nil && spec.Comment == nil {
			return slices.DeleteFunc(slices.Clone(spec.Names), func(n *ast.Ident) bool { return !n.IsExported() })
		}
	}
	return nil
}

// selfExplaining are methods whose contract is the interface they satisfy.
var selfExplaining = map[string]bool{
	"Error": true, "Unwrap": true, "String": true, "Len": true, "Less": true, "Swap": true, "ServeHTTP": true, "Read": true, "Write": true, "Close": true,
}

func exportedReceiver(decl *ast.FuncDecl) bool {
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return true
	}
	exported := true
	ast.Inspect(decl.Recv.List[0].Type, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			exported = name.IsExported()
			return false
		}
		return true
	})
	return exported
}

// clockReaders may read the clock, each for a reason; everything else is given
// one, so that a test decides what time it is.
var clockReaders = map[string]string{
	"cmd/rekey":            "the process's own start and end",
	"internal/cli":         "hands the clock to app, and shows how long a command took",
	"internal/app":         "the composition root gives the clock to what it builds",
	"internal/lab/labtest": "gives the clock to the lab that it starts for a test",
	"internal/demo":        "tells the person who watches how long it took",
}

func TestTheClockIsGiven(t *testing.T) {
	t.Parallel()
	for _, file := range parsedTree(t) {
		if _, allowed := clockReaders[file.dir]; allowed || file.test() {
			continue
		}
		for _, name := range []string{"Now", "Since", "Until"} {
			for _, use := range file.uses("time", name) {
				t.Errorf("%s: time.%s: take `Now func() time.Time` from the caller", file.at(use), name)
			}
		}
	}
}

func TestNoTestSleeps(t *testing.T) {
	t.Parallel()
	for _, file := range parsedTree(t) {
		for _, use := range file.uses("time", "Sleep") {
			if file.test() {
				t.Errorf("%s: time.Sleep in a test: poll on a condition, wait for a channel or use synctest", file.at(use))
			}
		}
	}
}

// TestNothingHappensAtInit forbids init functions: registries are written out as
// tables, where a reader finds them.
func TestNothingHappensAtInit(t *testing.T) {
	t.Parallel()
	for _, file := range parsedTree(t) {
		for _, decl := range file.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: an init function", file.at(f))
			}
		}
	}
}

func TestPackagesAreNamedForWhatTheyHold(t *testing.T) {
	t.Parallel()
	for _, file := range parsedTree(t) {
		for _, part := range strings.Split(file.dir, "/") {
			if slices.Contains([]string{"pkg", "util", "utils", "common", "helper", "helpers", "model", "models", "types", "misc"}, part) {
				t.Errorf("%s: a package called %q holds anything", file.path, part)
			}
		}
		if name := strings.TrimSuffix(file.ast.Name.Name, "_test"); file.dir != "." && name != "main" && name != path.Base(file.dir) {
			t.Errorf("%s: package %s in folder %s", file.path, name, file.dir)
		}
	}
}

// uses returns where the file names pkg.name, called or not.
func (f sourceFile) uses(pkg, name string) []ast.Node {
	if !slices.Contains(f.imports(), pkg) {
		return nil
	}
	var found []ast.Node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == path.Base(pkg) && x.Obj == nil {
				found = append(found, sel)
			}
		}
		return true
	})
	return found
}
