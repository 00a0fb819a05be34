package remedy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/internal/remedy"
)

// The guide tells people to commit what `rekey canary init` commits.
func TestTheGuideHasTheCanarysFile(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "canary.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), "```yaml\n"+remedy.CanaryFile+"```") {
		t.Errorf("docs/guides/canary.md lacks the file that is committed:\n%s", remedy.CanaryFile)
	}
	if !remedy.HasCanary(remedy.CanaryFile) || remedy.HasCanary("build:\n  script: make\n") {
		t.Error("a canary's job is not told from another")
	}
}
