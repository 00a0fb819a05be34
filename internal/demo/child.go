package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// report is what doctor -o json prints, as far as it is compared.
type report struct {
	Sections []struct {
		Config   string
		Index    int
		Name     string
		Verdict  string
		RunnerID int64 `json:"runner_id"`
		Findings []struct{ Cause, Severity string }
	}
}

// environment of a child: the lab's user token, and nothing of this process that
// could reach another GitLab.
func (d *demo) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.Dir, "REKEY_STATE_DIR=" + filepath.Join(d.Dir, "state"),
		"GITLAB_HOST=" + d.lab.URL(), "GITLAB_TOKEN=" + d.lab.AdminToken(), "TERM=" + os.Getenv("TERM")}
}

func (d *demo) child(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.Binary, args...)
	cmd.Env = d.environment()
	cmd.Stderr = d.Out
	return cmd
}

// simulate starts a host's runner process.
func (d *demo) simulate(h *host) (func(), error) {
	log, err := os.Create(filepath.Join(d.Dir, h.name+".log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(d.Binary, "lab", "runner", "--config", h.config(), "--runner-version", d.runnerVersion())
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	}, nil
}

// runnerVersion is the lab's own: hosts and server are in step.
func (d *demo) runnerVersion() string { return d.Version }

// groups are the hosts that one doctor looks at together: delta's runners are
// meant for one project, and it is told so.
func (d *demo) groups() [][]string {
	var rest, meant []string
	for _, h := range d.hosts {
		if h.project != "" {
			meant = append(meant, "--config", h.config(), "--expect-project", h.project)
			continue
		}
		rest = append(rest, "--config", h.config())
	}
	return [][]string{rest, meant}
}

// accepted are the exit codes of a command that did its work.
func accepted(err error, codes ...int) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for _, c := range codes {
			if exit.ExitCode() == c {
				return nil
			}
		}
	}
	return err
}

func (d *demo) doctorShown(ctx context.Context) error {
	for _, group := range d.groups() {
		args := append([]string{"doctor", "--rps", "0"}, group...)
		d.command(args)
		cmd := d.child(ctx, args...)
		cmd.Stdout = d.Out
		if err := accepted(cmd.Run(), 3); err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	return nil
}

// doctorJSON asks again, for the comparison.
func (d *demo) doctorJSON(ctx context.Context) (report, error) {
	var all report
	for _, group := range d.groups() {
		cmd := d.child(ctx, append([]string{"doctor", "-o", "json", "--rps", "0"}, group...)...)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := accepted(cmd.Run(), 3); err != nil {
			return all, fmt.Errorf("doctor -o json: %w", err)
		}
		var one report
		if err := json.Unmarshal(out.Bytes(), &one); err != nil {
			return all, fmt.Errorf("doctor -o json: %w", err)
		}
		all.Sections = append(all.Sections, one.Sections...)
	}
	return all, nil
}

func (d *demo) fixShown(ctx context.Context) error {
	for _, group := range d.groups() {
		args := append([]string{"fix", "--yes", "--rps", "0"}, group...)
		args = append(args, "--canary-project", "acme/web", "--canary-project", "acme/canary",
			"--scope", "project", "--project", "acme/web", "--group", "acme", "--tag-list", "demo")
		d.command(args)
		cmd := d.child(ctx, args...)
		cmd.Stdout = d.Out
		if err := accepted(cmd.Run(), 3); err != nil { // what cannot be repaired from here is left alone
			d.fail("fix ended with %v", err)
		}
	}
	return ctx.Err()
}

// command shows what is run, as one would type it.
func (d *demo) command(args []string) {
	short := make([]string, len(args))
	for i, a := range args {
		short[i] = strings.TrimPrefix(a, d.Dir+string(filepath.Separator))
	}
	fmt.Fprintf(d.Out, "\n$ rekey %s\n", strings.Join(short, " "))
}

// awaitHealthy waits until every section that can be online is.
func (d *demo) awaitHealthy(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for _, t := range d.truth {
		if t.Verdict != "valid" {
			continue
		}
		for {
			online, err := d.api.online(ctx, t.RunnerID)
			if err != nil {
				return err
			}
			if online {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("the simulated runner of %s was not seen within 30 s; its log is in %s", t.Name, d.Dir)
			}
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func pause(ctx context.Context, t time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(t):
		return nil
	}
}

// showLog prints a few refusals as gitlab-runner logs them.
func (d *demo) showLog() {
	shown := 0
	for _, h := range d.hosts {
		f, err := os.Open(filepath.Join(d.Dir, h.name+".log"))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); shown < 3 && lines.Scan(); {
			if strings.Contains(lines.Text(), "forbidden") {
				fmt.Fprintf(d.Out, "  %s: %s\n", h.name, lines.Text())
				shown++
			}
		}
		_ = f.Close()
	}
}
