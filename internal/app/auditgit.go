package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strconv"
	"strings"

	"rekey"
	"rekey/internal/iac"
)

// largestBlob is the size up to which a version of a file is read whole; of a
// larger one only the beginning is.
const largestBlob = 16 << 20

// past is a token with the blobs that hold it.
type past struct {
	iac.Past
	blob string
}

// gitHistory finds every token that git keeps in the repository around dir, each
// once, with the oldest commit that has it. It reads objects with `git cat-file`
// and asks for commits with `git log`; no token is on a command line.
func gitHistory(ctx context.Context, dir string, here map[rekey.Token]bool, progress func(done, total int)) ([]iac.Finding, int, error) {
	blobs, err := listBlobs(ctx, dir)
	if err != nil {
		return nil, 0, err
	}
	byBlob := map[string][]past{}
	if err := readBlobs(ctx, dir, blobs, byBlob, progress); err != nil {
		return nil, 0, err
	}
	return datePasts(ctx, dir, byBlob, here)
}

func git(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "core.quotePath=false"}, args...)...)
	cmd.Env = append(cmd.Environ(), "GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C")
	return cmd
}

// gitLines runs git and hands over its lines, or its records up to sep.
func gitLines(cmd *exec.Cmd, sep byte, do func(line string)) error {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return noGit(err, "")
	}
	in := bufio.NewReaderSize(out, 1<<16)
	for {
		line, err := in.ReadString(sep)
		if line != "" {
			do(strings.TrimSuffix(line, string(sep)))
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		return noGit(err, complaint.String())
	}
	return nil
}

func noGit(err error, complaint string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return rekey.Errorf(rekey.KindUnavailable, "--history needs git, which is not here: %w", err).WithHint("install git, or leave --history out")
	}
	first, _, _ := strings.Cut(strings.TrimSpace(complaint), "\n")
	return rekey.Errorf(rekey.KindInvalid, "git could not read the history: %s (%w)", first, err).WithHint("name a folder inside a git repository")
}

func listBlobs(ctx context.Context, dir string) ([]string, error) {
	var blobs []string
	err := gitLines(git(ctx, dir, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)", "--unordered"), '\n', func(line string) {
		if name, kind, _ := strings.Cut(line, " "); kind == "blob" {
			blobs = append(blobs, name)
		}
	})
	return blobs, err
}

// readBlobs reads every blob once, in a stream.
func readBlobs(ctx context.Context, dir string, blobs []string, into map[string][]past, progress func(done, total int)) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	cmd := git(reading, dir, "cat-file", "--batch", "--buffer")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return noGit(err, "")
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		w := bufio.NewWriter(in)
		for _, b := range blobs {
			if _, err := w.WriteString(b + "\n"); err != nil {
				break // git ended; Wait says why
			}
		}
		_ = w.Flush()
		_ = in.Close()
	}()
	err = scanBatch(bufio.NewReaderSize(out, 1<<18), len(blobs), into, progress)
	if err != nil {
		stop() // git goes on writing otherwise, and nobody reads it
	}
	<-fed
	if waited := cmd.Wait(); waited != nil && err == nil {
		err = noGit(waited, "")
	}
	if ctx.Err() != nil {
		return rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", ctx.Err())
	}
	return err
}

func scanBatch(in *bufio.Reader, total int, into map[string][]past, progress func(done, total int)) error {
	var buffer []byte
	for done := range total {
		header, err := in.ReadString('\n')
		if err != nil {
			return rekey.Errorf(rekey.KindUnavailable, "git ended early: %w", err)
		}
		parts := strings.Fields(header)
		if len(parts) != 3 {
			continue // missing in a partial clone
		}
		size, err := strconv.Atoi(parts[2])
		if err != nil {
			return rekey.Errorf(rekey.KindInternal, "git cat-file answered %d words", len(parts))
		}
		kept := min(size, largestBlob)
		if cap(buffer) < kept {
			buffer = make([]byte, kept)
		}
		text := buffer[:kept]
		if _, err := io.ReadFull(in, text); err != nil {
			return rekey.Errorf(rekey.KindUnavailable, "git ended early: %w", err)
		}
		if _, err := io.CopyN(io.Discard, in, int64(size-kept)+1); err != nil {
			return rekey.Errorf(rekey.KindUnavailable, "git ended early: %w", err)
		}
		if bytes.IndexByte(text[:min(len(text), 8<<10)], 0) < 0 {
			for _, p := range iac.TokensIn(text) {
				into[parts[0]] = append(into[parts[0]], past{p, parts[0]})
			}
		}
		if progress != nil {
			progress(done+1, total)
		}
	}
	return nil
}

// origin is where a token was first seen.
type origin struct {
	past
	path   string
	commit iac.Commit
}

// datePasts walks the commits from the newest to the oldest; the last one that
// brings a blob with a token is its origin.
func datePasts(ctx context.Context, dir string, byBlob map[string][]past, here map[rekey.Token]bool) ([]iac.Finding, int, error) {
	origins := map[rekey.Token]origin{}
	for _, list := range byBlob {
		for _, p := range list {
			origins[p.Token] = origin{past: p, path: "(unreachable object)", commit: iac.Commit{ID: p.blob, Author: "unknown"}}
		}
	}
	commits := 0
	var now iac.Commit
	each := func(line string) {
		switch {
		case strings.HasPrefix(line, "\x01"):
			commits++
			parts := strings.SplitN(line[1:], "\x02", 4)
			if len(parts) == 4 {
				now = iac.Commit{ID: parts[0], Author: fmt.Sprintf("%s <%s>", parts[1], parts[2]), Date: parts[3]}
			}
		case strings.HasPrefix(line, ":"):
			meta, name, _ := strings.Cut(line, "\t")
			if fields := strings.Fields(meta); len(fields) >= 5 {
				for _, p := range byBlob[fields[3]] {
					origins[p.Token] = origin{past: p, path: name, commit: now}
				}
			}
		}
	}
	if err := gitLines(git(ctx, dir, "log", "--all", "--raw", "-m", "--no-abbrev", "--no-renames", "--no-color", "--format=%x01%H%x02%an%x02%ae%x02%aI"), '\n', each); err != nil {
		return nil, 0, err
	}
	prefix := repositoryPrefix(ctx, dir)
	var found []iac.Finding
	for token, o := range origins {
		found = append(found, iac.PastFinding(path.Join(prefix, o.path), o.Past, o.commit, here[token]))
	}
	return found, commits, nil
}

// repositoryPrefix leads from dir to the top of its repository, "" at the top.
func repositoryPrefix(ctx context.Context, dir string) string {
	prefix := ""
	_ = gitLines(git(ctx, dir, "rev-parse", "--show-cdup"), '\n', func(line string) { prefix = line })
	return path.Join(dir, prefix)
}
