package configtoml

import "strings"

// shapes are ways in which people write the same two sections.
func shapes() map[string]string {
	plain := `concurrent = 1
check_interval = 0

[session_server]
  session_timeout = 1800

[[runners]]
  name = "one"
  url = "https://gitlab.example.com/"
  id = 11
  token = "glrt-CANARY1aaaaaaaaaaaaaa"
  token_obtained_at = 2024-01-02T03:04:05Z
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "shell"
  [runners.cache]
    MaxUploadedArchiveSize = 0

[[runners]]
  name = "two"
  url = "https://gitlab.example.com/"
  id = 12
  token = "glrt-CANARY2bbbbbbbbbbbbbb"
  executor = "docker"
  [runners.docker]
    image = "alpine:3"
    volumes = ["/cache"]
`
	return map[string]string{
		"plain":            plain,
		"crlf":             strings.ReplaceAll(plain, "\n", "\r\n"),
		"tabs":             strings.ReplaceAll(plain, "  ", "\t"),
		"byte order mark":  "\ufeff" + plain,
		"no final newline": strings.TrimSuffix(plain, "\n"),
		"single quotes":    strings.ReplaceAll(plain, `"`, `'`),
		"no spaces":        strings.ReplaceAll(strings.ReplaceAll(plain, "  ", ""), " = ", "="),
		"wide spaces":      strings.ReplaceAll(plain, " = ", "   \t =  "),
		"odd casing":       strings.NewReplacer("token =", "Token =", "url =", "URL =", "id =", "Id =", "name =", "nAme =").Replace(plain),
		"odd section name": strings.ReplaceAll(plain, "runners", "Runners"),
		"quoted keys":      strings.NewReplacer("token =", `"token" =`, "[[runners]]", `[[ "runners" ]]`, "id =", "'id' =").Replace(plain),
		"comments": `# the build hosts of the platform team
concurrent = 1 # see ticket OPS-1

# ---- first ----
[[runners]] # keep in step with Ansible
  # token = "glrt-CANARY9previous000000"
  name = "one"
  url = "https://gitlab.example.com/" # no trailing path
  id = 11
  token = "glrt-CANARY1aaaaaaaaaaaaaa" # rotated by hand, do not share
  executor = "shell"
  # limit = 3

# ---- second ----
[[runners]]
  token = "${RUNNER_TOKEN}"
  #[runners.docker]
`,
		"key order": `[[runners]]
  executor = "shell"
  [runners.custom_build_dir]
[[runners]]
`[:12] + `  executor = "shell"
  token = "glrt-CANARY1aaaaaaaaaaaaaa"
  limit = 2
  url = "https://gitlab.example.com/"
  environment = [ # several
    "A=1",
    "B=\"]\"",
  ]
  id = 11
  name = "one"
[[runners]]
`,
		"multi-line strings": `[[runners]]
name = """one"""
url = '''https://gitlab.example.com/'''
id = 11
token = """
glrt-CANARY1aaaaaaaaaaaaaa"""
executor = "shell"
pre_build_script = """
echo "[[runners]]"
token = "not a key"
"""
[[runners]]
  pre_build_script = '''
# not a comment
'''
`,
		"dotted keys": `[[runners]]
  name = "one"
  url = "https://gitlab.example.com/"
  id = 11
  token = "glrt-CANARY1aaaaaaaaaaaaaa"
  executor = "shell"
  docker.image = "alpine:3"
  docker . "tls_verify" = false
  [[runners.docker.services]]
    name = "redis"
    token = "not this one"
  [[runners.docker.services]]
    name = "postgres"
[[runners]]
`,
		"tables apart": `[[runners]]
  name = "one"
  url = "https://gitlab.example.com/"
  id = 11
  token = "glrt-CANARY1aaaaaaaaaaaaaa"
  executor = "shell"
[session_server]
  session_timeout = 1800
[runners.docker]
  image = "alpine:3"
[[runners]]
`,
		"inline": `runners = [ { name = "one", url = "https://gitlab.example.com/", id = 11, token = "glrt-CANARY1aaaaaaaaaaaaaa", executor = "shell" },
  { } ] # short
`,
		"last line is a comment": plain + "  # the end, without a newline",
	}
}
