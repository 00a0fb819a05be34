package iac

import (
	"bytes"
	"path"
	"strings"

	"rekey/internal/lazyregexp"
)

// Format is the language a text is read as.
type Format string

// The formats. Those without a parser of their own are read by patterns that know
// the language's comments and assignments.
const (
	FormatHCL        Format = "hcl"
	FormatYAML       Format = "yaml"
	FormatJSON       Format = "json"
	FormatShell      Format = "shell"
	FormatDockerfile Format = "dockerfile"
	FormatPowerShell Format = "powershell"
	FormatTOML       Format = "toml"
	FormatDotenv     Format = "dotenv"
	FormatNix        Format = "nix"
	FormatPuppet     Format = "puppet"
	FormatPython     Format = "python"
	FormatRuby       Format = "ruby"
	FormatMakefile   Format = "makefile"
	FormatBatch      Format = "batch"
	FormatScript     Format = "script"   // TypeScript, JavaScript: CDK, Pulumi
	FormatDocument   Format = "document" // for people: tokens, and the commands that are shown
	FormatText       Format = "text"     // no infrastructure: only tokens are looked for
	FormatUnknown    Format = "unknown"
)

var extensions = map[string]Format{
	".tf": FormatHCL, ".hcl": FormatHCL, ".tfvars": FormatHCL, ".tofu": FormatHCL, ".pkr": FormatHCL, ".nomad": FormatHCL,
	".yml": FormatYAML, ".yaml": FormatYAML, ".json": FormatJSON, ".jsonc": FormatJSON, ".tfstate": FormatJSON,
	".sh": FormatShell, ".bash": FormatShell, ".zsh": FormatShell, ".ksh": FormatShell, ".bats": FormatShell,
	".dockerfile": FormatDockerfile, ".containerfile": FormatDockerfile,
	".ps1": FormatPowerShell, ".psm1": FormatPowerShell, ".psd1": FormatPowerShell,
	".toml": FormatTOML, ".env": FormatDotenv, ".conf": FormatUnknown, ".ini": FormatDotenv, ".properties": FormatDotenv, ".envrc": FormatShell,
	".nix": FormatNix, ".pp": FormatPuppet, ".epp": FormatUnknown, ".py": FormatPython, ".rb": FormatRuby, ".mk": FormatMakefile,
	".sls": FormatYAML, ".ipynb": FormatText, ".bat": FormatBatch, ".cmd": FormatBatch,
	".ts": FormatScript, ".js": FormatScript, ".mjs": FormatScript, ".tsx": FormatScript,
	".md": FormatDocument, ".rst": FormatDocument, ".txt": FormatDocument, ".adoc": FormatDocument, ".html": FormatText, ".log": FormatText, ".csv": FormatText, ".svg": FormatText,
	".go": FormatText, ".java": FormatText, ".c": FormatText, ".h": FormatText, ".cc": FormatText, ".rs": FormatText, ".kt": FormatText, ".cs": FormatText,
	".css": FormatText, ".lock": FormatText, ".sum": FormatText, ".po": FormatText, ".proto": FormatText, ".vue": FormatText, ".php": FormatText, ".map": FormatText,
	".scala": FormatText, ".swift": FormatText, ".ex": FormatText, ".patch": FormatText, ".diff": FormatText, ".tsv": FormatText, ".xml": FormatText, ".snap": FormatText,
}

// templateEndings are put behind the ending of what a template makes.
var templateEndings = map[string]bool{
	".j2": true, ".jinja": true, ".jinja2": true, ".tpl": true, ".tftpl": true, ".tmpl": true, ".template": true, ".erb": true, ".gotmpl": true,
	".sample": true, ".example": true, ".dist": true, ".default": true, ".defaults": true, ".golden": true, ".in": true, ".orig": true, ".bak": true, ".enc": true, ".sops": true,
}

// formatOf says what a file is written in by its name, else by how it begins.
func formatOf(name string, head []byte) Format {
	base := strings.ToLower(path.Base(strings.ReplaceAll(name, `\`, "/")))
	for range 3 {
		if f := byName(base); f != "" {
			if f == FormatJSON && strings.HasSuffix(base, ".tf.json") {
				return FormatJSON
			}
			return f
		}
		ext := path.Ext(base)
		if f, ok := extensions[ext]; ok {
			return f
		}
		if !templateEndings[ext] || ext == base {
			break
		}
		base = strings.TrimSuffix(base, ext)
	}
	return byContent(head)
}

func byName(base string) Format {
	switch {
	case strings.HasPrefix(base, "dockerfile") || strings.HasPrefix(base, "containerfile"):
		return FormatDockerfile
	case base == "makefile" || base == "gnumakefile" || strings.HasPrefix(base, "makefile."):
		return FormatMakefile
	case base == "vagrantfile" || base == "gemfile" || base == "berksfile" || base == "gitlab.rb" || base == "rakefile":
		return FormatRuby
	case strings.HasPrefix(base, "readme") || strings.HasPrefix(base, "changelog") || strings.HasPrefix(base, "license"):
		return FormatDocument
	case base == ".env" || strings.HasPrefix(base, ".env.") || strings.HasPrefix(base, "env.") || strings.HasSuffix(base, ".env") || base == "env":
		return FormatDotenv
	case base == "user-data" || base == "userdata" || base == "user_data" || base == "cloud-config" || base == "justfile":
		return ""
	case strings.HasSuffix(base, "rc") && strings.HasPrefix(base, "."), base == "profile":
		return FormatShell
	case strings.HasSuffix(base, ".config.toml"):
		return FormatTOML
	}
	return ""
}

var (
	shebang      = lazyregexp.New(`^#!.*\b(?:ba|z|k|da|a)?sh\b|^#!.*\b(?:execlineb|with-contenv)`)
	pythonBang   = lazyregexp.New(`^#!.*python`)
	rubyBang     = lazyregexp.New(`^#!.*ruby`)
	powerBang    = lazyregexp.New(`(?i)^#!.*pwsh|^\s*<powershell>|^\s*\[CmdletBinding|^\s*param\s*\(`)
	yamlHead     = lazyregexp.New(`(?m)^(?:---|#[ \t]?cloud-config)\s*$|^apiVersion:\s|^- (?:name|hosts):\s`)
	runnersTable = lazyregexp.New(`(?m)^\s*\[\[runners\]\]|^\s*concurrent\s*=\s*\d`)
	shellLine    = lazyregexp.New(`(?m)(?:^|[;&|(\s])(?:gitlab-(?:ci-multi-)?runner(?:\.exe)?|sudo|curl|docker|export|helm|kubectl|set -[eux]+|if \[|echo|apt-get|yum)\s+\S|--registration-token|\$\(`)
	yamlLine     = lazyregexp.New(`(?m)^\s*(?:- )?[A-Za-z_][\w.-]*:(?:\s|$)`)
	firstLine    = lazyregexp.New(`^(?:\s*(?:#.*)?\n)*\s*["']?[A-Za-z_][\w.-]*["']?:(?:\s|$)`)
	envLine      = lazyregexp.New(`(?m)^(?:export\s+)?[A-Za-z_]\w*=\S*`)
	hclLine      = lazyregexp.New(`(?m)^\s*(?:resource|module|variable|data|provider|locals|output|terraform)\b.*\{\s*$`)
	omnibusLine  = lazyregexp.New(`(?m)^\s*\w+\[['"]\w+['"]\]\s*=|^\s*external_url\s`)
	powerLine    = lazyregexp.New(`(?m)^\s*\$\w+\s*=\s|\b(?:Write-(?:Host|Output)|Invoke-WebRequest|New-Item|Set-Location|Start-Process)\b`)
)

func byContent(head []byte) Format {
	head = head[:min(len(head), 4096)]
	switch {
	case shebang.Match(head):
		return FormatShell
	case pythonBang.Match(head):
		return FormatPython
	case rubyBang.Match(head):
		return FormatRuby
	case powerBang.Match(head):
		return FormatPowerShell
	case yamlHead.Match(head):
		return FormatYAML
	case runnersTable.Match(head):
		return FormatTOML
	case hclLine.Match(head):
		return FormatHCL
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("FROM ")):
		return FormatDockerfile
	case len(shellLine.FindAll(head, 3)) > 2:
		return FormatShell
	}
	return FormatUnknown
}

// guess says in what language a text inside another text is written.
func guess(v view, hint string) Format {
	name := normal(hint)
	head := v.orig[:min(len(v.orig), 8192)]
	switch {
	case shebang.Match(bytes.TrimSpace(head)):
		return FormatShell
	case powerBang.Match(head) || powerLine.Match(head):
		return FormatPowerShell
	case runnersTable.Match(head) || strings.HasSuffix(name, "_toml"):
		return FormatTOML
	case omnibusLine.Match(head) || strings.Contains(name, "omnibus") || strings.HasSuffix(name, "_rb"):
		return FormatRuby
	case yamlHead.Match(head) || strings.HasPrefix(name, "values") || strings.HasSuffix(name, "_yaml") || strings.HasSuffix(name, "_yml") || name == "helm_values":
		return FormatYAML
	case firstLine.Match(head) && bytes.Count(bytes.TrimSpace(head), []byte("\n")) > 0:
		return FormatYAML
	case shellLine.Match(head):
		return FormatShell
	case bytes.Count(head, []byte("\n")) > 0 && len(yamlLine.FindAll(head, 2)) == 2:
		return FormatYAML
	case envLine.Match(head):
		return FormatDotenv
	}
	return FormatShell
}
