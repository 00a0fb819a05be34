package rekey_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sourceFile is one Go file of this module.
type sourceFile struct {
	path string // from the top, with slashes
	dir  string // of the package, "." for the top
	ast  *ast.File
	set  *token.FileSet
}

func (f sourceFile) at(node ast.Node) string {
	return f.path + ":" + strings.TrimPrefix(f.set.Position(node.Pos()).String(), f.set.Position(f.ast.Pos()).Filename+":")
}

// parsedTree parses every Go file, tests too, whatever its build tags. It reads
// files, so that the test cache sees a change; asking the go command would not.
func parsedTree(t *testing.T) []sourceFile {
	t.Helper()
	files, err := parseTree()
	if err != nil {
		t.Fatalf("parsing the source tree: %v", err)
	}
	if len(files) < 10 {
		t.Fatalf("found %d Go files: not the top of the source tree?", len(files))
	}
	return files
}

var parseTree = sync.OnceValues(func() ([]sourceFile, error) {
	var files []sourceFile
	err := walkTree(func(path string) error {
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, sourceFile{path: path, dir: filepath.ToSlash(filepath.Dir(path)), ast: file, set: set})
		return nil
	})
	return files, err
})

// walkTree visits the files of this module that belong to the project.
func walkTree(visit func(path string) error) error {
	return filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		if entry.IsDir() {
			return skipFolder(path)
		}
		return visit(path)
	})
}

// skipFolder skips what is built, what belongs to git, test data, and other
// modules: their packages are not ours.
func skipFolder(path string) error {
	switch filepath.Base(path) {
	case ".git", "bin", "tmp", "testdata":
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." {
		return filepath.SkipDir
	}
	return nil
}
