package simrunner

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"rekey"
)

// job is the payload of POST /jobs/request as far as it is used here. Fields
// that are absent or null are zero.
type job struct {
	ID        int64  `json:"id"`
	TokenText string `json:"token"`
	JobInfo   struct {
		Name            string `json:"name"`
		Stage           string `json:"stage"`
		ProjectID       int64  `json:"project_id"`
		ProjectName     string `json:"project_name"`
		ProjectFullPath string `json:"project_full_path"`
	} `json:"job_info"`
	GitInfo struct {
		RepoURL string `json:"repo_url"`
	} `json:"git_info"`
	RunnerInfo struct {
		Timeout int `json:"timeout"` // seconds; 0 is an hour
	} `json:"runner_info"`
	Variables []variable `json:"variables"`
	Steps     []step     `json:"steps"`
	Features  struct {
		FailureReasons    []string `json:"failure_reasons"`
		TokenMaskPrefixes []string `json:"token_mask_prefixes"`
	} `json:"features"`

	token rekey.Token // TokenText, emptied
}

// variable is one CI/CD variable.
type variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Masked bool   `json:"masked"`
	File   bool   `json:"file"`
	Raw    bool   `json:"raw"`
}

// step is one script: "script", "after_script" or another named by the server.
type step struct {
	Name         string   `json:"name"`
	Script       []string `json:"script"`
	Timeout      int      `json:"timeout"` // seconds
	When         string   `json:"when"`    // on_success, on_failure or always
	AllowFailure bool     `json:"allow_failure"`
}

// expanded returns the variables with references to one another resolved once,
// as gitlab-runner does; raw ones stay.
func expanded(all []variable) []variable {
	values := map[string]string{}
	for _, v := range all {
		values[v.Key] = v.Value
	}
	out := slices.Clone(all)
	for i, v := range out {
		if !v.Raw {
			out[i].Value = os.Expand(v.Value, func(key string) string { return values[key] })
		}
	}
	return out
}

// secrets returns what must not show in the trace, longest first: masked
// variables and the job's own token.
func (j *job) secrets(all []variable) []string {
	out := []string{j.token.Reveal()}
	for _, v := range all {
		if v.Masked {
			out = append(out, v.Value)
		}
	}
	out = slices.DeleteFunc(out, func(s string) bool { return strings.TrimSpace(s) == "" })
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	return slices.Compact(out)
}

// reason maps a failure reason to one the server announced, as gitlab-runner
// does for a server that is older than itself.
func (j *job) reason(want string) string {
	if want == "" || len(j.Features.FailureReasons) == 0 || slices.Contains(j.Features.FailureReasons, want) {
		return want
	}
	return "unknown_failure"
}
