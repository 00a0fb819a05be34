package simrunner

import (
	"os"
	"path/filepath"
	"strings"
)

// inherited are the variables of this process that a script may see. Nothing
// else passes: the process may hold a user's token.
var inherited = []string{"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "SHELL", "SYSTEMROOT"}

// env is the environment of a script: a few of the process's own, the section's,
// then the job's variables.
func (b *build) env(status string) []string {
	var env []string
	for _, key := range inherited {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	env = append(env, b.environment...)
	for _, v := range b.vars {
		value := v.Value
		if v.File {
			value = filepath.Join(b.filesDir(), v.Key)
		}
		if valid(v.Key) && !strings.ContainsRune(value, 0) {
			env = append(env, v.Key+"="+value)
		}
	}
	if status != "" {
		env = append(env, "CI_JOB_STATUS="+status)
	}
	return env
}

func valid(key string) bool {
	return key != "" && !strings.ContainsAny(key, "=\x00/\\") && key != "." && key != ".."
}

func (b *build) filesDir() string { return b.dir + ".tmp" }

// fileVariables writes each variable of type file; the caller removes the
// directory it returns.
func (b *build) fileVariables() (string, error) {
	dir := b.filesDir()
	for _, v := range b.vars {
		if !v.File || !valid(v.Key) {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return dir, err
		}
		if err := os.WriteFile(filepath.Join(dir, v.Key), []byte(v.Value), 0o600); err != nil {
			return dir, err
		}
	}
	return dir, nil
}
