// Package cli is the command line: one file per command, the shape of output,
// the exit codes. It owns flags, their environment variables and defaults, and
// what a person reads. It refuses to decide anything: commands call package app.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
)

// Exit codes, assigned here and nowhere else.
const (
	exitFine     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitFindings = 3 // findings at or above --fail-on
	exitPartial  = 4 // applied in part
)

// Streams is what a command talks through: standard output is the result,
// standard error the conversation.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) (string, bool)
	// InTTY, OutTTY and ErrTTY say which of them is a terminal; Width is the
	// terminal's in columns, 0 when unknown.
	InTTY, OutTTY, ErrTTY bool
	Width                 int
}

// exitError carries an exit code through cobra; its text was already shown.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is a mistake in the command's own words.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Main runs one command and returns its exit code. An interrupt ends the context:
// the step under way is finished, and what is left is resumed later.
func Main(args []string, s Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // a second interrupt ends the process at once
		<-ctx.Done()
		stop()
	}()
	return run(ctx, args, s)
}

func run(ctx context.Context, args []string, s Streams) int {
	c := &command{Streams: s, app: app.New(s.Getenv, Version())}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	cmd, err := root.ExecuteContextC(ctx)
	return c.exit(err, cmd.CommandPath())
}

// command is what every command shares.
type command struct {
	Streams
	app *app.App
}

func (c *command) root() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "rekey",
		Short: "Find, explain, repair and prove GitLab runner tokens",
		Long: `rekey finds every GitLab runner whose token does not match its GitLab, says
exactly why, repairs it and proves the repair with a job.

  rekey doctor            what is wrong, and why
  rekey fix --dry-run     what would be done about it
  rekey fix               do it, and prove it
  rekey lab demo          watch all of it on a lab of its own`,
		SilenceErrors: true, SilenceUsage: true,
	}, c.doctor(), c.explain(), c.fix(), c.journal(), c.register(), c.rotate(), c.snapshot(), c.secret(), c.agent(), c.canary(), c.audit(), c.runner(), c.lab(), c.vaultPlugin(), c.version())
	root.SetFlagErrorFunc(flagError)
	return root
}

// exit shows an error with the next thing to type, and maps it to a code; path is
// the command that was run.
func (c *command) exit(err error, path string) int {
	var code exitError
	var usage usageError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage), isCobraUsage(err):
		fmt.Fprintf(c.Err, "rekey: %s\n  → see `%s --help`\n", c.app.Scrub(err.Error()), path)
		return exitUsage
	}
	fmt.Fprintf(c.Err, "rekey: %s\n", c.app.Scrub(err.Error()))
	if hint := rekey.HintOf(err); hint != "" {
		fmt.Fprintf(c.Err, "  → %s\n", c.app.Scrub(hint))
	}
	if rekey.KindOf(err) == rekey.KindInvalid {
		return exitUsage
	}
	return exitFailed
}
