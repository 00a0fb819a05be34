// Package ciconfig reads the part of .gitlab-ci.yml that a canary job needs:
// stages, scripts, tags, variables, rules with if, when, needs, image, default
// and extends. It owns parsing, the rules' expressions and variable expansion,
// and refuses what would change which jobs run but is not understood. It does no
// I/O and knows no runner.
package ciconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Config is a parsed file. Jobs are in the file's order.
type Config struct {
	Stages    []string
	Variables []Variable
	Workflow  []Rule
	Jobs      []Job
}

// Variable is one name and value, in the file's order.
type Variable struct{ Key, Value string }

// Job is one job as written, defaults and extends applied.
type Job struct {
	Name         string
	Stage        string
	BeforeScript []string
	Script       []string
	AfterScript  []string
	Tags         []string
	Variables    []Variable
	Rules        []Rule // nil: none given
	When         string // on_success, on_failure, always, manual, never, delayed
	AllowFailure bool
	Needs        []string
	HasNeeds     bool // needs: [] starts a job at once
	Image        string
	Timeout      int64 // seconds, 0 for the project's
	Artifacts    []Artifact
}

// Artifact is what to upload after the script.
type Artifact struct {
	Name     string
	Paths    []string
	Exclude  []string
	When     string
	ExpireIn string
}

// Rule adds a job when its condition holds; an empty one always does.
type Rule struct {
	If           string
	When         string
	AllowFailure *bool
	Variables    []Variable
}

// Error is what GitLab would list under errors for the file.
type Error struct{ Problems []string }

func (e *Error) Error() string { return strings.Join(e.Problems, "; ") }

func failf(format string, args ...any) error {
	return &Error{[]string{fmt.Sprintf(format, args...)}}
}

// Parse reads a file. Errors are *Error, worded as GitLab words them.
func Parse(data []byte) (*Config, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, failf("Invalid configuration format: %s", err)
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return nil, failf("Invalid configuration format")
	}
	keys, values, err := topLevel(root.Content[0])
	if err != nil {
		return nil, err
	}
	return build(keys, values)
}

// topLevel decodes each top-level value and keeps the order of the keys.
func topLevel(mapping *yaml.Node) ([]string, map[string]any, error) {
	var keys []string
	values := map[string]any{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := mapping.Content[i].Value
		var value any
		if err := mapping.Content[i+1].Decode(&value); err != nil {
			return nil, nil, failf("Invalid configuration format: %s", err)
		}
		keys, values[key] = append(keys, key), value
	}
	return keys, values, nil
}

// ignored top-level and job keys do not change which jobs run or where.
var (
	topKeys = []string{"stages", "variables", "default", "workflow", "image", "before_script", "after_script", "services", "cache", "spec", "types", "pages"}
	jobKeys = []string{"stage", "script", "before_script", "after_script", "tags", "variables", "rules", "when", "allow_failure", "needs", "image", "timeout",
		"artifacts", "extends", "services", "cache", "retry", "interruptible", "environment", "coverage", "dependencies", "resource_group", "id_tokens", "inherit"}
	whens = []string{"on_success", "on_failure", "always", "manual", "never", "delayed"}
)

func build(keys []string, values map[string]any) (*Config, error) {
	c := &Config{Stages: []string{"build", "test", "deploy"}}
	if stages, given := values["stages"]; given {
		c.Stages = words(stages)
	}
	c.Stages = append(append([]string{".pre"}, c.Stages...), ".post")
	c.Variables = variables(values["variables"])
	if workflow, isMap := values["workflow"].(map[string]any); isMap {
		var err error
		if c.Workflow, err = rules("workflow", workflow["rules"]); err != nil {
			return nil, err
		}
	}
	var problems []string
	for _, key := range keys {
		if slices.Contains(topKeys, key) || strings.HasPrefix(key, ".") {
			continue
		}
		job, err := c.job(key, values)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		c.Jobs = append(c.Jobs, *job)
	}
	if len(problems) == 0 && len(c.Jobs) == 0 {
		problems = append(problems, "jobs config should contain at least one visible job")
	}
	problems = append(problems, c.missingNeeds()...)
	if len(problems) > 0 {
		return nil, &Error{problems}
	}
	return c, nil
}

func (c *Config) missingNeeds() []string {
	var problems []string
	for _, job := range c.Jobs {
		for _, need := range job.Needs {
			if !slices.ContainsFunc(c.Jobs, func(j Job) bool { return j.Name == need }) {
				problems = append(problems, fmt.Sprintf("'%s' job needs '%s' job, but '%s' does not exist in the pipeline", job.Name, need, need))
			}
		}
	}
	return problems
}

// job reads one job over the defaults.
func (c *Config) job(name string, values map[string]any) (*Job, error) {
	raw, isMap := values[name].(map[string]any)
	if !isMap {
		return nil, failf("jobs %s config should implement the script:, run:, or trigger: keyword", name)
	}
	raw, err := extended(raw, values, 0)
	if err != nil {
		return nil, err
	}
	for key := range raw {
		if !slices.Contains(jobKeys, key) {
			return nil, failf("jobs:%s config contains keys that this lab does not know: %s", name, key)
		}
	}
	raw = withDefaults(raw, values)
	job := &Job{Name: name, Stage: "test", When: "on_success", BeforeScript: words(raw["before_script"]), Script: words(raw["script"]), AfterScript: words(raw["after_script"]),
		Tags: words(raw["tags"]), Variables: variables(raw["variables"]), Image: image(raw["image"]), Timeout: seconds(raw["timeout"]), Artifacts: artifacts(raw["artifacts"])}
	if len(job.Script) == 0 {
		return nil, failf("jobs:%s script can't be blank", name)
	}
	if stage, given := raw["stage"].(string); given {
		job.Stage = stage
	}
	if !slices.Contains(c.Stages, job.Stage) {
		return nil, failf("%s job: chosen stage %s does not exist; available stages are %s", name, job.Stage, strings.Join(c.Stages, ", "))
	}
	job.AllowFailure, _ = raw["allow_failure"].(bool)
	job.Needs, job.HasNeeds = needs(raw["needs"])
	return job, job.readWhen(raw)
}

func (j *Job) readWhen(raw map[string]any) error {
	var err error
	if w, given := raw["when"]; given {
		j.When, _ = w.(string)
		if !slices.Contains(whens, j.When) {
			return failf("jobs:%s when should be one of: %s", j.Name, strings.Join(whens, ", "))
		}
	}
	if given, there := raw["rules"]; there {
		if j.Rules, err = rules("jobs:"+j.Name, given); err == nil && j.Rules == nil {
			j.Rules = []Rule{}
		}
	}
	return err
}

func rules(where string, raw any) ([]Rule, error) {
	items, isList := raw.([]any)
	if raw != nil && !isList {
		return nil, failf("%s:rules config should be an array of hashes", where)
	}
	var found []Rule
	for _, item := range items {
		m, isMap := item.(map[string]any)
		if !isMap {
			return nil, failf("%s:rules config should be an array of hashes", where)
		}
		for key := range m {
			if !slices.Contains([]string{"if", "when", "allow_failure", "variables"}, key) {
				return nil, failf("%s:rules:rule config contains a key that this lab does not know: %s", where, key)
			}
		}
		rule := Rule{If: scalar(m["if"]), When: scalar(m["when"]), Variables: variables(m["variables"])}
		if allow, given := m["allow_failure"].(bool); given {
			rule.AllowFailure = &allow
		}
		if _, err := parseCondition(rule.If); err != nil {
			return nil, failf("%s:rules:rule if invalid expression syntax", where)
		}
		found = append(found, rule)
	}
	return found, nil
}

func artifacts(raw any) []Artifact {
	m, isMap := raw.(map[string]any)
	if !isMap || len(words(m["paths"])) == 0 {
		return nil
	}
	return []Artifact{{Name: scalar(m["name"]), Paths: words(m["paths"]), Exclude: words(m["exclude"]), When: scalar(m["when"]), ExpireIn: scalar(m["expire_in"])}}
}

func needs(raw any) ([]string, bool) {
	items, isList := raw.([]any)
	var found []string
	for _, item := range items {
		if m, isMap := item.(map[string]any); isMap {
			item = m["job"]
		}
		found = append(found, scalar(item))
	}
	return found, isList
}

func image(raw any) string {
	if m, isMap := raw.(map[string]any); isMap {
		raw = m["name"]
	}
	return scalar(raw)
}

// seconds reads "1h 30m", "10 minutes" or a number of seconds; 0 for none.
func seconds(raw any) int64 {
	total, pending := int64(0), int64(-1)
	units := map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
	text := scalar(raw)
	for i := 0; i < len(text); {
		j := i
		for j < len(text) && text[j] >= '0' && text[j] <= '9' {
			j++
		}
		if j > i {
			pending, _ = strconv.ParseInt(text[i:j], 10, 64)
			i = j
			continue
		}
		if unit := units[text[i]]; unit > 0 && pending >= 0 {
			total, pending = total+pending*unit, -1
		}
		i++
	}
	return total + max(0, pending)
}
