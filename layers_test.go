package rekey_test

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layer says what the files of one package may import from this module. A
// package that is not in the table fails the test, and so does a row whose
// package is gone, unless it is planned.
type layer struct {
	may     []string // packages of this module, "." being the vocabulary
	inTests []string // more for its external test package; labtest is always among them
	planned bool
}

var (
	leaves  = []string{".", "internal/durable", "internal/lazyregexp", "internal/redact"}
	engines = []string{"internal/configtoml", "internal/diagnose", "internal/explain", "internal/export", "internal/fleet", "internal/guard", "internal/iac", "internal/remedy", "internal/upgrade"}
)

// layers is the import rule: cmd → cli → app → controller → engines → the
// vocabulary and the leaves. Adapters stand beside the engines and only app
// imports them.
var layers = map[string]layer{
	"cmd/rekey":    {may: only("internal/cli"), inTests: only(".", "internal/configtoml", "internal/host/kube/kubetest", "internal/host/ssh/sshtest", "internal/lab/simrunner", "internal/secretstore/secretstoretest", "internal/testport")}, // its tests kill the real binary and look at what is left
	"internal/cli": {may: union(leaves, engines, only("docs/schema", "internal/app", "internal/controller", "internal/secretstore")), inTests: only("internal/host/ssh/sshtest")},
	"internal/app": {may: union(leaves, engines, only("internal/agent", "internal/controller", "internal/gitlab", "internal/host", "internal/host/docker", "internal/host/kube", "internal/host/ssh", "internal/inventory", "internal/lab", "internal/lab/simrunner", "internal/demo", "internal/resident",
		"internal/secretstore", "internal/secretstore/awssm", "internal/secretstore/env", "internal/secretstore/file", "internal/secretstore/gitlabvar", "internal/secretstore/kube", "internal/secretstore/vault", "internal/vaultplugin")), inTests: only("internal/host/docker/dockertest", "internal/host/kube/kubetest")},

	"internal/controller": {may: union(leaves, engines)},

	// A configtoml document, facts and findings are pure values: the engines that
	// judge and mend configs share them without an interface in between.
	"internal/configtoml": {may: leaves},
	"internal/diagnose":   {may: union(leaves, only("internal/configtoml"))},
	"internal/export":     {may: union(leaves, only("internal/diagnose", "internal/upgrade"))},
	"internal/upgrade":    {may: union(leaves, only("internal/diagnose", "internal/fleet"))}, // one judgement more over the same facts, by fleet's table
	"internal/fleet":      {may: leaves},
	"internal/iac":        {may: leaves},
	"internal/guard":      {may: leaves},
	"internal/explain":    {may: leaves, inTests: only("internal/diagnose")},
	"internal/remedy":     {may: union(leaves, only("internal/configtoml", "internal/diagnose"))},

	"internal/host":                   {may: union(leaves, only("internal/configtoml"))},
	"internal/host/ssh":               {may: union(leaves, only("internal/host")), inTests: only("internal/host/ssh/sshtest")},
	"internal/host/ssh/sshtest":       {},
	"internal/host/docker":            {may: union(leaves, only("internal/host")), inTests: only("internal/host/docker/dockertest")},                    // a file's mark and a system id are judged there, wherever they were read
	"internal/host/kube":              {may: union(leaves, only("internal/configtoml", "internal/host")), inTests: only("internal/host/kube/kubetest")}, // of the template it reads the section
	"internal/host/docker/dockertest": {},
	"internal/host/kube/kubetest":     {may: only("internal/testport")},
	"internal/testport":               {},
	"internal/inventory":              {may: leaves},
	"internal/gitlab":                 {may: leaves},
	"internal/vaultplugin":            {may: leaves}, // an adapter to Vault; what it asks of GitLab is a port, which app fills
	// The lab shares no type with internal/gitlab: one wrong field name would be
	// wrong in both, and every test would pass.
	"internal/lab":             {may: union(leaves, only("internal/lab/ciconfig"))},
	"internal/lab/ciconfig":    {},
	"internal/lab/simrunner":   {may: leaves},
	"internal/lab/conformance": {may: only("."), inTests: only("internal/lab")},
	"internal/lab/labtest":     {may: union(leaves, only("internal/lab", "internal/lab/simrunner"))},

	// The demonstration is told the truth it plants, which doctor must find by
	// itself: it drives the binary and the lab from outside, as a person would.
	"internal/demo": {may: leaves},

	// What is planted, and what must be found, may not be written by who finds it:
	// neither planters nor table import the diagnosis, and doctor runs in the test.
	"internal/matrix": {may: only(labtest, "internal/lab"), inTests: only("internal/cli")},

	"docs/schema": {}, // the published schemas, as the binary prints them

	"bench": {may: only(labtest, "internal/iac")}, // measures the real binary beside its peers; tests only

	"internal/agent": {may: only(".", "internal/secretstore")}, // the judgement and the loop; all else is a port

	// A store is an adapter of one product; the port and its references are pure.
	"internal/secretstore":           {may: only(".", "internal/redact")},
	"internal/secretstore/env":       {may: only(".", "internal/secretstore")},
	"internal/secretstore/file":      {may: union(leaves, only("internal/secretstore"))},
	"internal/secretstore/vault":     {may: union(leaves, only("internal/secretstore")), inTests: only("internal/secretstore/secretstoretest")},
	"internal/secretstore/awssm":     {may: union(leaves, only("internal/secretstore")), inTests: only("internal/secretstore/secretstoretest")},
	"internal/secretstore/gitlabvar": {may: only(".", "internal/secretstore")},
	"internal/secretstore/kube":      {may: union(leaves, only("internal/secretstore")), inTests: only("internal/host/kube/kubetest")},
	// One test runs the suite on every store before its real product.
	"internal/secretstore/secretstoretest": {may: only(".", "internal/secretstore", "internal/testport"), inTests: only("internal/gitlab", "internal/host/kube/kubetest", "internal/secretstore/awssm", "internal/secretstore/env",
		"internal/secretstore/file", "internal/secretstore/gitlabvar", "internal/secretstore/kube", "internal/secretstore/vault")},

	".":                   {},
	"internal/durable":    {may: only(".")},
	"internal/redact":     {may: only(".")},
	"internal/lazyregexp": {},
	"internal/resident":   {},
}

const labtest = "internal/lab/labtest"

// confined names the packages that may import a module, or a part of the
// standard library that some layers must do without. A module without a row is
// not to be imported: a dependency gets its place here first.
var confined = []struct {
	path  string
	where []string
}{
	{"github.com/spf13/cobra", []string{"internal/cli"}},
	{"github.com/spf13/pflag", []string{"internal/cli"}},
	{"golang.org/x/term", []string{"internal/cli"}},
	{"gitlab.com/gitlab-org/api/client-go", []string{"internal/gitlab"}},
	{"golang.org/x/time", []string{"internal/gitlab"}},
	{"github.com/pelletier/go-toml", []string{"internal/configtoml"}},
	{"github.com/BurntSushi/toml", []string{"internal/configtoml", "internal/lab/simrunner"}},                      // what gitlab-runner reads with
	{"go.yaml.in/yaml", []string{"internal/lab/ciconfig", "internal/fleet", "internal/iac", "internal/inventory"}}, // .gitlab-ci.yml of a canary; the owners file; infrastructure code; inventories
	{"github.com/hashicorp/hcl/v2", []string{"internal/iac"}},
	{"mvdan.cc/sh/v3", []string{"internal/iac"}},
	{"modernc.org/sqlite", []string{"internal/lab"}},
	{"filippo.io/age", []string{"internal/remedy", "internal/secretstore/file"}},
	{"github.com/hashicorp/vault/api", []string{"internal/secretstore/vault"}},
	{"github.com/hashicorp/vault/sdk", []string{"internal/vaultplugin"}}, // without Docker and Google: see third_party
	{"github.com/hashicorp/go-hclog", []string{"internal/vaultplugin"}},  // the log lines that Vault reads
	{"github.com/aws", []string{"internal/secretstore/awssm"}},
	{"golang.org/x/crypto", []string{"internal/lab"}},
	{"k8s.io", []string{"internal/host/kube", "internal/secretstore/kube"}},
	{"github.com/moby/moby", []string{"internal/host/docker", "internal/host/docker/dockertest"}},
	{"github.com/containerd/errdefs", []string{"internal/host/docker"}}, // what moby's client says of an answer
	{"golang.org/x/sys", []string{"internal/durable", "internal/host", "internal/redact", "internal/cli", "internal/lab", "internal/resident"}},

	{"database/sql", []string{"internal/lab"}},
	{"os/exec", []string{"internal/app", "internal/demo", "internal/host", "internal/host/docker/dockertest", "internal/host/kube/kubetest", "internal/host/ssh", "internal/host/ssh/sshtest", "internal/lab/simrunner", "internal/matrix", "internal/secretstore/secretstoretest"}},
	{"net/http", []string{"internal/app", "internal/demo", "internal/gitlab", "internal/host/kube/kubetest", "internal/lab", "internal/lab/simrunner", labtest, "internal/matrix", "internal/secretstore/secretstoretest", "internal/secretstore/vault", "internal/vaultplugin"}}, // Vault takes an error of its engine by HTTP status
}

// confinedTests are modules that only the tests of some packages may import.
var confinedTests = []struct {
	path  string
	where []string
}{
	{"github.com/chromedp", []string{"internal/lab"}},                   // the page in a real browser
	{"github.com/santhosh-tekuri/jsonschema", []string{"internal/cli"}}, // what doctor prints against its published schema
}

// testModules may be imported by any test and by nothing else.
var testModules = []string{"github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "go.uber.org/goleak"}

// ioPackages are what the vocabulary must do without.
var ioPackages = []string{"os", "net", "net/http", "os/exec", "os/signal", "io/fs", "syscall", "database/sql", "log"}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	for _, file := range parsedTree(t) {
		row, known := layers[file.dir]
		if !known {
			t.Errorf("%s: package %s is not in the table of layers_test.go", file.path, file.dir)
			continue
		}
		for _, path := range file.imports() {
			if inModule, ok := modulePath(path); ok && !mayImport(file, row, inModule) {
				t.Errorf("%s imports %s, which the table does not allow %s", file.path, inModule, file.dir)
			}
		}
	}
}

func mayImport(file sourceFile, row layer, imported string) bool {
	if slices.Contains(row.may, imported) {
		return true
	}
	return file.externalTest() && (imported == file.dir || imported == labtest || slices.Contains(row.inTests, imported))
}

func TestEveryLayerExists(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, file := range parsedTree(t) {
		seen[file.dir] = true
	}
	for dir, row := range layers {
		if !seen[dir] && !row.planned {
			t.Errorf("the table names %s, which is gone: remove the row or mark it planned", dir)
		}
		for _, imported := range slices.Concat(row.may, row.inTests) {
			if _, known := layers[imported]; !known {
				t.Errorf("the row of %s allows %s, which has no row", dir, imported)
			}
		}
	}
}

// TestLayersHaveNoCycle keeps the table itself honest: a row may only name
// packages that do not reach back to it.
func TestLayersHaveNoCycle(t *testing.T) {
	t.Parallel()
	var visit func(dir string, path []string)
	visit = func(dir string, path []string) {
		if slices.Contains(path, dir) {
			t.Fatalf("the table allows a cycle: %s", strings.Join(append(path, dir), " → "))
		}
		for _, next := range layers[dir].may {
			visit(next, append(slices.Clone(path), dir))
		}
	}
	for dir := range layers {
		visit(dir, nil)
	}
}

func TestLibrariesStayConfined(t *testing.T) {
	t.Parallel()
	for _, file := range parsedTree(t) {
		for _, path := range file.imports() {
			if _, inside := modulePath(path); inside {
				continue
			}
			if reason := misplaced(file, path); reason != "" {
				t.Errorf("%s imports %s: %s", file.path, path, reason)
			}
		}
	}
}

func misplaced(file sourceFile, path string) string {
	if file.dir == "." && !file.test() && slices.Contains(ioPackages, path) {
		return "the vocabulary does no I/O"
	}
	for _, row := range confined {
		if within(path, row.path) {
			if file.test() || slices.Contains(row.where, file.dir) {
				return ""
			}
			return "it is confined to " + strings.Join(row.where, ", ")
		}
	}
	for _, row := range confinedTests {
		if within(path, row.path) {
			if file.test() && slices.Contains(row.where, file.dir) {
				return ""
			}
			return "it is for the tests of " + strings.Join(row.where, ", ")
		}
	}
	isTestModule := slices.ContainsFunc(testModules, func(m string) bool { return within(path, m) })
	switch {
	case isTestModule && !file.test() && file.dir != labtest:
		return "it is for tests"
	case !isTestModule && strings.Contains(strings.Split(path, "/")[0], "."):
		return "it has no row among the confined libraries of layers_test.go"
	}
	return ""
}

// TestTheRuleCatchesViolations plants one violation of each kind.
func TestTheRuleCatchesViolations(t *testing.T) {
	t.Parallel()
	file := func(path string) sourceFile { return sourceFile{path: path, dir: path[:strings.LastIndex(path, "/")]} }
	for _, c := range []struct{ path, imported string }{
		{"internal/lab/x.go", "internal/gitlab"},
		{"internal/gitlab/x.go", "internal/lab"},
		{"internal/gitlab/x.go", labtest},
		{"internal/cli/x.go", "internal/gitlab"},
		{"internal/redact/x.go", "internal/durable"},
		{"internal/diagnose/x.go", "internal/remedy"},
		{"internal/remedy/x.go", "internal/controller"},
		{"internal/matrix/x.go", "internal/diagnose"},
	} {
		if f := file(c.path); mayImport(f, layers[f.dir], c.imported) {
			t.Errorf("%s may import %s, want a violation", c.path, c.imported)
		}
	}
	for _, c := range []struct{ path, imported string }{
		{"internal/app/x.go", "github.com/spf13/cobra"},
		{"internal/remedy/x.go", "net/http"},
		{"internal/lab/x.go", "gitlab.com/gitlab-org/api/client-go/v2"},
		{"internal/lab/x.go", "github.com/google/go-cmp/cmp"},
		{"internal/lab/x_test.go", "example.com/unknown"},
		{"internal/lab/x.go", "github.com/chromedp/chromedp"},
		{"internal/cli/x_test.go", "github.com/chromedp/chromedp"},
		{"./x.go", "os"},
	} {
		if misplaced(file(c.path), c.imported) == "" {
			t.Errorf("%s may import %s, want a violation", c.path, c.imported)
		}
	}
}

func within(path, module string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// modulePath returns an import path as the table writes it, and whether it
// belongs to this module.
func modulePath(path string) (string, bool) {
	if path == "rekey" {
		return ".", true
	}
	return strings.CutPrefix(path, "rekey/")
}

func (f sourceFile) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

func (f sourceFile) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f sourceFile) externalTest() bool { return f.test() && isTestPackage(f.ast) }

func isTestPackage(file *ast.File) bool {
	return file != nil && strings.HasSuffix(file.Name.Name, "_test")
}

func union(lists ...[]string) []string { return slices.Concat(lists...) }

func only(packages ...string) []string { return packages }
