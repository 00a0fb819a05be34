package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/explain"
)

func (c *command) explain() *cobra.Command {
	output := "table"
	cmd := &cobra.Command{
		Use:   "explain [LINE… | -]",
		Short: "Say what a line of gitlab-runner's log means: cause and remedy; offline",
		Long: `explain reads lines of gitlab-runner's log, or a whole journal from standard
input, and says what each means: the causes that it leaves possible, likeliest
first, what to do, and what to look at next. It says plainly what is not a token
problem. It asks nobody and judges no token: that is rekey doctor's part.

Every log format is read (runner, text, json), with colours, padding, and the
prefixes of syslog, journalctl, docker, docker compose and kubectl. Repeats are
folded, and lines that only sum up another are joined to it. No token is shown.

The exit code is 0 whatever the lines say, recognised or not; 1 where the input
cannot be read, 2 for wrong usage.`,
		Example: `  rekey explain 'ERROR: Checking for jobs... forbidden  runner=abcd1234'
  journalctl -u gitlab-runner --since today | rekey explain
  docker logs gitlab-runner 2>&1 | rekey explain -
  kubectl logs deploy/gitlab-runner | rekey explain -o json | jq .summary`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("-o %s is not known: use table or json", output)}
			}
			in, err := c.explainInput(args)
			if err != nil {
				return err
			}
			err = c.explainFrom(cmd.Context(), in, output)
			if len(args) == 1 && err == nil {
				c.hintFile(args[0])
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "table, or json for programs (docs/guides/explain.md)")
	return cmd
}

// explainInput is the lines given, or standard input.
func (c *command) explainInput(args []string) (io.Reader, error) {
	switch {
	case len(args) == 0 && c.InTTY:
		return nil, usageError{errors.New("nothing to explain: give a line in quotes, or pipe a log, as in `journalctl -u gitlab-runner | rekey explain`")}
	case len(args) == 0, len(args) == 1 && args[0] == "-":
		return c.In, nil
	}
	return strings.NewReader(strings.Join(args, argumentSeparator(args))), nil
}

// argumentSeparator joins the words of one line that was given without quotes.
func argumentSeparator(args []string) string {
	for _, a := range args {
		if strings.ContainsAny(a, " \t\n") {
			return "\n"
		}
	}
	return " "
}

func (c *command) hintFile(arg string) {
	if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
		fmt.Fprintf(c.Err, "rekey: %s is a file; to explain what is in it: rekey explain < %s\n", arg, arg)
	}
}

// explainFrom shows what was read even where it was interrupted or broke off.
func (c *command) explainFrom(ctx context.Context, in io.Reader, output string) error {
	catalogue := explain.New()
	if output == "json" {
		sum, err := catalogue.Read(ctx, in, nil)
		if jsonErr := c.json(explainDocument(sum)); jsonErr != nil {
			return jsonErr
		}
		return readError(err)
	}
	p := c.paper()
	sum, err := catalogue.Read(ctx, in, func(e explain.Explanation) {
		if e.Bearing != explain.Fine {
			p.explanation(e)
		}
	})
	if sum.Recognised == 1 && len(sum.Explanations) == 1 && sum.Explanations[0].Bearing == explain.Fine {
		p.explanation(sum.Explanations[0])
	}
	p.explainSummary(sum)
	return readError(err)
}

func readError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil // an interrupt ends the reading; what was read was shown
	}
	return rekey.Errorf(rekey.KindUnavailable, "%v", err)
}

func (p *paper) explanation(e explain.Explanation) {
	p.line("%s", p.bold(shortened(e.Line, 3*p.width)))
	p.wrapped("  means  ", e.Means)
	p.line("  token  %s", p.bearing(e))
	for i, cause := range e.Causes {
		label := map[bool]string{true: "  cause  ", false: "         "}[i == 0]
		p.wrapped(label, causeWords(cause))
	}
	p.wrapped("  do     ", e.Remedy)
	p.wrapped("  next   ", e.Next)
	if e.Note != "" {
		p.wrapped("  note   ", e.Note)
	}
	p.line("%s", p.faint("  "+catalogued(e)))
	p.line("")
}

func shortened(text string, limit int) string {
	if r := []rune(text); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return text
}

func (p *paper) bearing(e explain.Explanation) string {
	switch e.Bearing {
	case explain.OnToken:
		return p.red("a token problem")
	case explain.Unclear:
		return p.yellow("this line alone does not say")
	case explain.Fine:
		return p.green("not a token problem: nothing is wrong in this line")
	}
	return p.green("not a token problem")
}

func causeWords(cause rekey.Cause) string {
	if entry, ok := diagnose.LookupEntry(cause); ok {
		return string(cause) + ": " + entry.Meaning
	}
	return string(cause)
}

func catalogued(e explain.Explanation) string {
	text := e.ID
	if e.Row > 0 {
		text = fmt.Sprintf("row %d, %s", e.Row, e.ID)
	}
	return text + "; in gitlab-runner: " + e.Versions
}

// explainSummary counts; a single line needs no summary.
func (p *paper) explainSummary(sum explain.Summary) {
	if sum.Recognised == 0 {
		p.notRecognised(sum)
		return
	}
	if sum.Lines > 1 {
		p.line("%s read, %d recognised", plural(sum.Lines, "line", "lines"), sum.Recognised)
		p.group("token problems", sum.Of(explain.OnToken))
		p.group("not clear from the line alone", sum.Of(explain.Unclear))
		p.group("not a token problem", sum.Of(explain.NotToken))
		p.group("nothing wrong", sum.Of(explain.Fine))
	}
	if sum.Unrecognised > 0 {
		p.line("%s not in the catalogue", plural(sum.Unrecognised, "line at error level is", "lines at error level are"))
		for _, s := range sum.Samples {
			p.wrapped("      ", s)
		}
	}
	if sum.Cut+sum.Dropped > 0 {
		p.line("%d cut for their length, %d kinds too many to keep apart", sum.Cut, sum.Dropped)
	}
	if len(sum.Of(explain.OnToken)) > 0 {
		p.line("Next: `rekey doctor` on the host names the one cause, with evidence.")
	}
}

func (p *paper) notRecognised(sum explain.Summary) {
	p.line("%s read, none in the catalogue of gitlab-runner's lines about tokens", plural(sum.Lines, "line", "lines"))
	for _, s := range sum.Samples {
		p.wrapped("      ", s)
	}
	p.line("Next: paste the whole line with its `status=`, or run `rekey doctor` on the host.")
}

func (p *paper) group(title string, list []explain.Explanation) {
	if len(list) == 0 {
		return
	}
	p.line("  %s", title)
	for _, e := range list {
		text := shortened(e.Line, 2*p.width)
		if e.First.Time != "" && e.Count > 1 {
			text += fmt.Sprintf(" (%s to %s)", e.First.Time, e.Last.Time)
		}
		p.wrapped(fmt.Sprintf("  %6d× ", e.Count), text)
		for _, q := range e.Consequences {
			p.wrapped(fmt.Sprintf("          explains %d× ", q.Count), shortened(q.Line, p.width))
		}
		if e.Note != "" {
			p.wrapped("          note: ", e.Note)
		}
	}
}
