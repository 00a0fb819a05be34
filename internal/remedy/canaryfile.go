package remedy

import "strings"

// CanaryFile is the .gitlab-ci.yml of a project that holds the canary job alone.
// An ordinary push starts nothing: the rule asks for the variable.
const CanaryFile = `rekey-canary:
  tags: [$` + CanaryVariable + `]
  rules:
    - if: $` + CanaryVariable + `
  variables: {GIT_STRATEGY: none}
  script: echo "rekey canary on runner $CI_RUNNER_ID"
`

// HasCanary reports whether a .gitlab-ci.yml has a job that the canary's variable
// starts, be it this one or one of somebody's own.
func HasCanary(text string) bool { return strings.Contains(text, "$"+CanaryVariable) }
