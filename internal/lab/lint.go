package lab

import (
	"database/sql"
	"errors"
	"net/http"

	"rekey/internal/lab/ciconfig"
)

var (
	lintOptions   = []param{may("dry_run", boolean), may("include_jobs", boolean), may("ref", text)}
	lintParams    = takes(need("content", text), may("include_merged_yaml", boolean)).and(lintOptions...)
	lintRefParams = takes(may("sha", text), may("content_ref", text)).and(lintOptions...)
)

// lintResult is POST and GET /projects/:id/ci/lint, 200 whatever is wrong.
type lintResult struct {
	Valid      bool       `json:"valid"`
	Errors     list       `json:"errors"`
	Warnings   list       `json:"warnings"`
	MergedYAML string     `json:"merged_yaml"`
	Includes   list       `json:"includes"`
	Jobs       *[]lintJob `json:"jobs,omitempty"`
}

type lintJob struct {
	Name         string  `json:"name"`
	Stage        string  `json:"stage"`
	BeforeScript list    `json:"before_script"`
	Script       list    `json:"script"`
	AfterScript  list    `json:"after_script"`
	Tags         list    `json:"tag_list"`
	Environment  *string `json:"environment"`
	When         string  `json:"when"`
	AllowFailure bool    `json:"allow_failure"`
	Needs        []any   `json:"needs"`
}

func postLint(c *call) (answer, error) {
	p, err := c.needProject("id", levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	return c.lint(&p, []byte(c.text("content")))
}

// getLint looks at the committed file.
func getLint(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	ref := c.refNamed(&p, "content_ref")
	if c.text("content_ref") == "" {
		ref = c.refOr(&p)
	}
	file, err := c.fileAt(p.ID, ref, p.configPath())
	if errors.Is(err, sql.ErrNoRows) {
		return ok(lintResult{Errors: list{"Please provide content of .gitlab-ci.yml"}})
	}
	if err != nil {
		return answer{}, err
	}
	return c.lint(&p, file.content)
}

// lint reads the file; a dry run also plans it for a ref, where rules count and no
// job at all is an error.
func (c *call) lint(p *project, content []byte) (answer, error) {
	result := lintResult{Valid: true, MergedYAML: string(content)}
	config, err := ciconfig.Parse(content)
	var wrong *ciconfig.Error
	if errors.As(err, &wrong) {
		result.Valid, result.Errors = false, wrong.Problems
		return ok(result)
	}
	if err != nil {
		return answer{}, err
	}
	jobs := config.Jobs
	if c.flag("dry_run", false) {
		ref := c.refOr(p)
		known, err := c.knownVariables(p, ref, nil)
		if err != nil {
			return answer{}, err
		}
		if jobs = config.Plan(c.predefined(p, &pipeline{ProjectID: p.ID, Ref: ref, Source: "push"}), known); len(jobs) == 0 {
			result.Valid = false
			result.Errors = list{"The resulting pipeline would have been empty. Review the rules configuration for the relevant jobs."}
		}
	}
	if c.flag("include_jobs", false) {
		shown := each(jobs, lintJobOf)
		result.Jobs = &shown
	}
	return ok(result)
}

func lintJobOf(j ciconfig.Job) lintJob {
	needs := []any{}
	for _, name := range j.Needs {
		needs = append(needs, map[string]any{"name": name, "artifacts": true, "optional": false})
	}
	return lintJob{Name: j.Name, Stage: j.Stage, BeforeScript: j.BeforeScript, Script: j.Script, AfterScript: j.AfterScript, Tags: j.Tags,
		When: j.When, AllowFailure: j.AllowFailure, Needs: needs}
}

// instanceLint is POST /ci/lint, which went with 16.0.
type instanceLint struct {
	Status     string  `json:"status"`
	Valid      bool    `json:"valid"`
	Errors     list    `json:"errors"`
	Warnings   list    `json:"warnings"`
	Includes   list    `json:"includes"`
	MergedYAML *string `json:"merged_yaml,omitempty"`
}

func postInstanceLint(c *call) (answer, error) {
	result := instanceLint{Status: "valid", Valid: true}
	content := c.text("content")
	var wrong *ciconfig.Error
	if _, err := ciconfig.Parse([]byte(content)); errors.As(err, &wrong) {
		result.Status, result.Valid, result.Errors = "invalid", false, wrong.Problems
	}
	if c.flag("include_merged_yaml", false) {
		result.MergedYAML = &content
	}
	return answer{status: http.StatusOK, body: result}, nil
}
