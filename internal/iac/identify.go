package iac

import (
	"os"
	"path/filepath"
)

// Identify makes the fingerprints independent of how a path was given: a file is
// known by its path from the root of its repository, and outside of one from the
// working directory. It looks for .git in the folders above and changes nothing.
func Identify(findings []Finding) {
	roots := map[string]string{}
	for i := range findings {
		if f := &findings[i]; f.imprint != "" {
			f.Fingerprint = fingerprint(identity(f.Path, roots), f.imprint)
		}
	}
}

func identity(path string, roots map[string]string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return relative(path)
	}
	dir := filepath.Dir(abs)
	root, known := roots[dir]
	if !known {
		root = repositoryRoot(dir)
		roots[dir] = root
	}
	rel, err := filepath.Rel(root, abs)
	if err != nil {
		return filepath.ToSlash(abs)
	}
	return filepath.ToSlash(rel)
}

// repositoryRoot is the folder with .git above dir, the working directory where
// there is none.
func repositoryRoot(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	return here
}
