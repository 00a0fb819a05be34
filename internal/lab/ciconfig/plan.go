package ciconfig

import (
	"maps"
	"regexp"
)

// Plan is the jobs that a pipeline with these variables has: rules decided, tags
// and image expanded. given are the predefined variables and those of the
// pipeline's creator; they win over the file's, as GitLab's precedence has it for
// pipeline variables. No job at all is no error: the caller says so.
func (c *Config) Plan(predefined, given map[string]string) []Job {
	global := merge(predefined, c.Variables, given)
	if c.Workflow != nil {
		if _, runs := decide(c.Workflow, global); !runs {
			return nil
		}
	}
	var jobs []Job
	for _, job := range c.Jobs {
		if job, runs := job.decided(predefined, c.Variables, given); runs {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

func (j Job) decided(predefined map[string]string, global []Variable, given map[string]string) (Job, bool) {
	vars := merge(merge(predefined, global, nil), j.Variables, given)
	if j.Rules != nil {
		rule, runs := decide(j.Rules, vars)
		if !runs {
			return j, false
		}
		if rule.When != "" {
			j.When = rule.When
		}
		if rule.AllowFailure != nil {
			j.AllowFailure = *rule.AllowFailure
		}
		j.Variables = append(append([]Variable{}, j.Variables...), rule.Variables...)
		vars = merge(vars, rule.Variables, given)
	}
	tags := make([]string, 0, len(j.Tags))
	for _, tag := range j.Tags {
		if tag = Expand(tag, vars); tag != "" {
			tags = append(tags, tag)
		}
	}
	j.Tags, j.Image = tags, Expand(j.Image, vars)
	return j, j.When != "never"
}

// decide returns the first rule that holds; none, or one that says never, is no.
func decide(rules []Rule, vars map[string]string) (Rule, bool) {
	for _, rule := range rules {
		holds, err := parseCondition(rule.If)
		if err == nil && holds(vars) {
			return rule, rule.When != "never"
		}
	}
	return Rule{}, false
}

func merge(low map[string]string, middle []Variable, high map[string]string) map[string]string {
	merged := maps.Clone(low)
	if merged == nil {
		merged = map[string]string{}
	}
	for _, v := range middle {
		merged[v.Key] = v.Value
	}
	maps.Copy(merged, high)
	return merged
}

var reference = regexp.MustCompile(`\$\$|\$(\w+)|\$\{(\w+)\}`)

// Expand replaces $VAR and ${VAR}, also inside values, a few levels deep; an
// unknown one becomes empty.
func Expand(text string, vars map[string]string) string {
	for range 5 {
		next := reference.ReplaceAllStringFunc(text, func(found string) string {
			m := reference.FindStringSubmatch(found)
			if found == "$$" {
				return found
			}
			return vars[m[1]+m[2]]
		})
		if next == text {
			break
		}
		text = next
	}
	return text
}
