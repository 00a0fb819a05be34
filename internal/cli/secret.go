package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/secretstore"
)

func (c *command) secret() *cobra.Command {
	return group(&cobra.Command{
		Use: "secret", Short: "Runner tokens in the stores where your team keeps them",
		Long: `secret reads and writes tokens by reference:

  vault://MOUNT/PATH#KEY            Vault and OpenBao, KV version 1 and 2
  awssm://REGION/NAME#JSONKEY       AWS Secrets Manager; without # the whole secret
  gitlab-var://PROJECT-OR-GROUP/KEY?env=SCOPE
  k8s://NAMESPACE/SECRET#KEY        (KEY: runner-token)
  file:///PATH                      a file sealed with age
  env:NAME                          read only

Credentials come from where each product's own command has them (VAULT_ADDR and
VAULT_TOKEN, AWS_PROFILE, KUBECONFIG, GITLAB_TOKEN). docs/guides/stores.md tells
the rest, docs/stores.md what each store can do.`,
		Example: `  rekey secret get vault://secret/ci/runner#token > token
  rekey secret put file:///etc/rekey/runner.sealed < token`,
	}, c.secretGet(), c.secretPut(), c.secretList(), c.secretRemove())
}

func storeFlags(cmd *cobra.Command, in *app.StoreInput) {
	accessFlags(cmd, &in.Access)
	cmd.Flags().StringVar(&in.State.Dir, "state-dir", "", "where the key of file:// lives (REKEY_STATE_DIR; REKEY_SECRET_KEY_FILE names the key itself)")
}

func (c *command) secretGet() *cobra.Command {
	var in app.SecretInput
	var version string
	var reveal, clean, mend bool
	output := "text"
	cmd := &cobra.Command{
		Use: "get REF", Short: "Print a secret to a file or a program",
		Long: `get prints the value to standard output, without a newline after it, so that what
is read from a file or a pipe is the token alone. It does not print to a terminal
unless --reveal is given. A value that is no runner token, such as one with a
newline in it, is printed as it is and told on standard error.`,
		Example: `  gitlab-runner register --non-interactive --url "$CI_SERVER_URL" --token "$(rekey secret get vault://secret/ci/runner#token)"
  rekey secret get awssm://eu-central-1/ci/runner -o json
  rekey secret get k8s://ci/gitlab-runner --mend > /dev/null`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known("-o", output, "text", "json"); err != nil {
				return err
			}
			if c.OutTTY && !reveal {
				return rekey.Errorf(rekey.KindInvalid, "standard output is a terminal, where the secret would stay to be read").
					WithHint("send it to a file or a program, or give --reveal to see it")
			}
			in.Ref = args[0]
			read, err := c.app.Secret(cmd.Context(), in, version)
			if err != nil {
				return err
			}
			if err := c.told(cmd, in, &read, mend && version == ""); err != nil {
				return err
			}
			if clean && read.Mended {
				read.Value = read.Cleaned
			}
			return c.revealed(read, output)
		},
	}
	s := cmd.Flags()
	s.StringVar(&version, "version", "", "an earlier version, as rekey secret list REF --versions names it")
	s.BoolVar(&reveal, "reveal", false, "print to a terminal too")
	s.BoolVar(&clean, "clean", false, "print without the white space and quotes around the token")
	s.BoolVar(&mend, "mend", false, "write the value back without them, and print it so")
	s.StringVarP(&output, "output", "o", output, "text, or json: one flat object of texts")
	storeFlags(cmd, &in.StoreInput)
	return cmd
}

// told says what is wrong with a value, and mends it where it shall.
func (c *command) told(cmd *cobra.Command, in app.SecretInput, read *app.SecretRead, mend bool) error {
	if read.Problem == "" {
		return nil
	}
	fmt.Fprintf(c.Err, "rekey: %s: %s\n", read.Ref, read.Problem)
	if !read.Mended {
		return nil
	}
	if !mend {
		fmt.Fprintf(c.Err, "  → --mend takes it away in the store, --clean only in what is printed\n")
		return nil
	}
	version, err := c.app.MendSecret(cmd.Context(), in, *read)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Err, "Mended: %s is version %s now.\n", read.Ref, version)
	read.Value, read.Version = read.Cleaned, version
	return nil
}

// revealed is the one place where a secret is printed, which is what was asked for.
func (c *command) revealed(read app.SecretRead, output string) error {
	if output == "json" {
		flat := map[string]string{"schema": "rekey.secret/1", "token": read.Value.Reveal(), "version": string(read.Version), "ref": read.Ref.String()}
		for name, text := range read.Meta.Fields() {
			flat[name] = text
		}
		return c.json(flat)
	}
	end := ""
	if c.OutTTY {
		end = "\n"
	}
	_, err := fmt.Fprint(c.Out, read.Value.Reveal()+end)
	return err
}

func (c *command) secretPut() *cobra.Command {
	var in app.PutInput
	var runner int64
	var rotated, due string
	cmd := &cobra.Command{
		Use: "put REF", Short: "Write a token from standard input or a file",
		Long: `put writes the token that standard input or --file holds. A token is never an
argument: others can read those. What is no runner token is refused, unless --any
is given; a newline at the end of the line is no part of a token. What stands
beside the token in the same secret stays.`,
		Example: `  rekey secret put vault://secret/ci/runner#token --file token --owner team-ci
  rekey secret put gitlab-var://acme/web/RUNNER_TOKEN?env=production < token
  rekey secret put file:///etc/rekey/runner.sealed --if-absent`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Absent && in.Version != "" {
				return usageError{fmt.Errorf("--if-absent and --if-version exclude each other")}
			}
			var err error
			if in.Meta, err = metadata(in.Meta.Owner, runner, rotated, due, c.app.Now()); err != nil {
				return err
			}
			in.Ref, in.Stdin = args[0], c.In
			if in.File == "" && c.InTTY {
				if in.Stdin, err = c.typed(); err != nil {
					return err
				}
			}
			done, err := c.app.PutSecret(cmd.Context(), in)
			if err != nil {
				return err
			}
			for _, note := range done.Notes {
				fmt.Fprintf(c.Err, "  · %s\n", note)
			}
			c.paper().line("Wrote %s, version %s.", done.Ref, done.Version)
			return nil
		},
	}
	s := cmd.Flags()
	s.StringVar(&in.File, "file", "", "file with the token alone; - or nothing is standard input")
	s.BoolVar(&in.Any, "any", false, "write also what is no runner token")
	s.BoolVar(&in.Mend, "mend", false, "take white space and quotes around the token away")
	s.BoolVar(&in.Absent, "if-absent", false, "write only where there is none")
	s.StringVar(&in.Version, "if-version", "", "write only over this version")
	s.Int64Var(&runner, "runner-id", 0, "the id of the runner that the token is of")
	s.StringVar(&in.Meta.Owner, "owner", "", "who owns the runner")
	s.StringVar(&rotated, "rotated", "now", "when the token was made: now, or a time as 2026-03-01T12:00:00Z; empty keeps what is written")
	s.StringVar(&due, "due", "", "when it is due: a time, or a span from now as 720h")
	storeFlags(cmd, &in.StoreInput)
	return cmd
}

func metadata(owner string, runner int64, rotated, due string, now time.Time) (secretstore.Metadata, error) {
	m := secretstore.Metadata{RunnerID: rekey.RunnerID(runner), Owner: owner}
	if runner < 0 {
		return m, usageError{fmt.Errorf("--runner-id %s is no runner id", strconv.FormatInt(runner, 10))}
	}
	for _, f := range []struct {
		name, text string
		into       *time.Time
	}{{"--rotated", rotated, &m.RotatedAt}, {"--due", due, &m.NextDue}} {
		if f.text == "" {
			continue
		}
		at, err := moment(f.text, now)
		if err != nil {
			return m, usageError{fmt.Errorf("%s: %q is neither a time such as 2026-03-01T12:00:00Z nor a span such as 720h", f.name, f.text)}
		}
		*f.into = at
	}
	return m, nil
}

func moment(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if span, err := time.ParseDuration(text); err == nil {
		return now.Add(span), nil
	}
	return time.Parse(time.RFC3339, text)
}

// typed asks for a token at a terminal, which does not show it.
func (c *command) typed() (io.Reader, error) {
	f, ok := c.In.(*os.File)
	if !ok {
		return nil, usageError{fmt.Errorf("give the token with --file or on standard input")}
	}
	fmt.Fprint(c.Err, "Paste the token, then press Enter (it is not shown): ")
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(c.Err)
	return bytes.NewReader(text), err
}
