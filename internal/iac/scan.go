package iac

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"rekey"
)

// Why a file was not read, as keys of Summary.Skipped.
const (
	skippedBinary   = "binary"
	skippedArchive  = "archive"
	skippedIgnored  = "ignored"
	skippedExcluded = "excluded"
	skippedLink     = "link"
	skippedSpecial  = "special"
	skippedDenied   = "unreadable"
	skippedVanished = "vanished"
)

// Scan says what to look at.
type Scan struct {
	Paths    []string // files and folders; what is named is read even where it is ignored
	Excludes []string // globs as in .gitignore
	NoIgnore bool     // read what .gitignore leaves out
	Target   Target
	Progress func(done, total int) // may be called from several goroutines; total grows while folders are listed
}

// Run reads everything and returns the findings, unsorted, with what was counted.
// It returns what it has when ctx ends, with the context's error. Files that
// cannot be read are counted and named; only a path of Paths that is not there is
// an error.
func (s Scan) Run(ctx context.Context) ([]Finding, Summary, error) {
	for _, p := range s.Paths {
		if _, err := os.Stat(p); err != nil {
			return nil, Summary{}, rekey.Errorf(rekey.KindNotFound, "%w", err).WithHint("name a file or a folder, such as `rekey audit .`")
		}
	}
	r := &run{scan: s, excluded: excluder(s.Excludes), search: newSearcher(), queue: make(chan []string, 64)}
	r.summary.Skipped = map[string]int{}
	var workers sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		workers.Go(func() { r.work(ctx) })
	}
	for _, p := range s.Paths {
		r.top(ctx, p)
	}
	close(r.queue)
	workers.Wait()
	Identify(r.found)
	return r.found, r.summary, ctx.Err()
}

// run is one scan under way.
type run struct {
	scan     Scan
	excluded func(string, bool) bool
	search   *searcher
	queue    chan []string // a folder's files at a time: handing over costs more than reading a small one
	listed   atomic.Int64
	done     atomic.Int64
	parsing  sync.Mutex // held while a large file is parsed

	mu      sync.Mutex
	found   []Finding
	summary Summary
}

func (r *run) skip(reason string) {
	r.mu.Lock()
	r.summary.Skipped[reason]++
	r.mu.Unlock()
}

func (r *run) unreadable(path string, err error) {
	reason := skippedDenied
	if os.IsNotExist(err) {
		reason = skippedVanished
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Skipped[reason]++
	if reason == skippedDenied && len(r.summary.Unreadable) < 100 {
		r.summary.Unreadable = append(r.summary.Unreadable, path)
	}
}

// top takes a path that was named.
func (r *run) top(ctx context.Context, path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.unreadable(path, err)
	case info.IsDir():
		r.folder(ctx, path, "", r.ignoresAbove(path))
	case info.Mode().IsRegular():
		r.send(ctx, []string{path})
	default:
		r.skip(skippedSpecial)
	}
}

func (r *run) send(ctx context.Context, paths []string) {
	if len(paths) == 0 {
		return
	}
	r.listed.Add(int64(len(paths)))
	select {
	case r.queue <- paths:
	case <-ctx.Done():
	}
}

// ignoresAbove reads the .gitignore files between the root of the repository and
// the folder that is scanned.
func (r *run) ignoresAbove(dir string) *ignoreList {
	if r.scan.NoIgnore {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	root := abs
	for {
		if _, err := os.Lstat(filepath.Join(root, ".git")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		if parent == root {
			return nil // in no repository
		}
		root = parent
	}
	if root == abs {
		return nil // read with the folder itself
	}
	var rules []ignoreRule
	for _, d := range between(root, abs) {
		rel, _ := filepath.Rel(d, abs)
		for _, rule := range readIgnore(d) {
			if moved, ok := rule.below(strings.Split(filepath.ToSlash(rel), "/")); ok {
				rules = append(rules, moved)
			}
		}
	}
	tracked := map[string]bool{}
	below, _ := filepath.Rel(root, abs)
	for path := range trackedFiles(root) {
		if rest, ok := strings.CutPrefix(path, filepath.ToSlash(below)+"/"); ok {
			tracked[rest] = true
		}
	}
	return &ignoreList{rules: rules, tracked: tracked}
}

// between lists the folders from root to dir, dir left out.
func between(root, dir string) []string {
	var list []string
	for d := filepath.Dir(dir); ; d = filepath.Dir(d) {
		list = append([]string{d}, list...)
		if d == root || d == filepath.Dir(d) {
			return list
		}
	}
}

// below is the rule as it reads from a folder further down.
func (r ignoreRule) below(path []string) (ignoreRule, bool) {
	if !r.anchored || r.parts[0] == "**" {
		return r, true
	}
	if len(r.parts) <= len(path) || !matchParts(r.parts[:len(path)], path) {
		return r, false
	}
	r.parts = r.parts[len(path):]
	return r, true
}

func readIgnore(dir string) []ignoreRule {
	text, err := os.ReadFile(filepath.Join(dir, ".gitignore"))
	if err != nil {
		return nil
	}
	return parseIgnore(text)
}

// folder lists one folder. Links are not followed, so none leads round in a circle.
func (r *run) folder(ctx context.Context, dir, rel string, above *ignoreList) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.unreadable(dir, err)
		if len(entries) == 0 {
			return
		}
	}
	ignores := above
	if !r.scan.NoIgnore {
		rules, tracked := readListed(dir, entries)
		if len(rules) > 0 || tracked != nil {
			ignores = &ignoreList{above: above, dir: rel, rules: rules, tracked: tracked, at: rel}
		}
	}
	var files []string
	for _, e := range entries {
		if ctx.Err() != nil {
			return
		}
		if r.entry(ctx, dir, rel, e, ignores) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
		if len(files) == batch {
			r.send(ctx, files)
			files = nil
		}
	}
	r.send(ctx, files)
}

// batch is how many files are handed over at once, at most.
const batch = 128

// readListed reads what a folder says of itself: its .gitignore, and at the top of
// a repository what git tracks.
func readListed(dir string, entries []fs.DirEntry) (rules []ignoreRule, tracked map[string]bool) {
	for _, e := range entries {
		switch e.Name() {
		case ".gitignore":
			rules = readIgnore(dir)
		case ".git":
			tracked = trackedFiles(dir)
		}
	}
	return rules, tracked
}

// entry takes one entry of a folder and reports whether it is a file to read.
func (r *run) entry(ctx context.Context, dir, rel string, e fs.DirEntry, ignores *ignoreList) bool {
	name := e.Name()
	if rel != "" {
		name = rel + "/" + name
	}
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		r.skip(skippedLink)
	case e.IsDir() && e.Name() == ".git":
	case r.excluded(name, e.IsDir()):
		r.skip(skippedExcluded)
	case ignores.ignored(name, e.IsDir()):
		r.skip(skippedIgnored)
	case e.IsDir():
		r.folder(ctx, filepath.Join(dir, e.Name()), name, ignores)
	case !e.Type().IsRegular():
		r.skip(skippedSpecial)
	default:
		return true
	}
	return false
}

func (r *run) work(ctx context.Context) {
	reader := &reader{run: r, buffer: make([]byte, chunkSize)}
	for paths := range r.queue {
		for _, path := range paths {
			if ctx.Err() != nil {
				break
			}
			reader.file(path)
			if done := r.done.Add(1); r.scan.Progress != nil {
				r.scan.Progress(int(done), int(r.listed.Load()))
			}
		}
	}
	r.mu.Lock()
	r.summary.Files += reader.files
	r.summary.Bytes += reader.bytes
	r.summary.Examined += reader.examined
	r.found = append(r.found, reader.found...)
	r.mu.Unlock()
}
