package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

func (c *command) labFault() *cobra.Command {
	return group(&cobra.Command{
		Use: "fault", Short: "Order the running lab to fail: explicitly, never at random",
		Long: `fault orders the next requests to an endpoint to fail. Orders act in the order they
were given and are forgotten when the lab stops. Every answer that an order made or
delayed names it in the header X-Rekey-Lab-Fault.`,
	}, c.labFaultAdd(), c.labFaultList(), c.labFaultClear())
}

func (c *command) labFaultAdd() *cobra.Command {
	var f app.LabFault
	var headers []string
	var truncate int
	cmd := &cobra.Command{
		Use: "add --path PATTERN", Short: "Order one fault", Args: noArgs,
		Long: `add orders a fault for the next requests whose method and path match. The path is
below /api/v4; "*" stands for one segment or a part of it, a final "**" for any
number of segments.

What can be done: --status with --body and --header answers in GitLab's place, before
anything is done; --reset resets the connection; --truncate lets GitLab do its work
and sends only the first bytes of its answer; --delay waits first, alone or before
one of these. With --after-commit the work is done and the true answer is lost.`,
		Example: `  rekey lab fault add --method POST --path jobs/request --times 3 --status 503 --body '{"message":"503 Service Unavailable"}'
  rekey lab fault add --method POST --path user/runners --reset --after-commit
  rekey lab fault add --path 'runners/*/reset_authentication_token' --truncate 20
  rekey lab fault add --path '**' --times 100 --delay 2s --name slow
  rekey lab fault add --path runners/verify --status 429 --header 'Retry-After: 30'
  rekey lab fault add --path runners/verify --status 403 --body '<html>blocked</html>' --header 'Content-Type: text/html'`,
	}
	s := cmd.Flags()
	s.StringVar(&f.Name, "name", "", "name of the order (default: fault-1, fault-2, …)")
	s.StringVar(&f.Method, "method", "", "GET, POST, PUT, PATCH or DELETE (default: any)")
	s.StringVar(&f.Path, "path", "", "the endpoint below /api/v4, such as jobs/request or runners/*")
	s.IntVar(&f.Times, "times", 1, "how many requests it acts on")
	s.IntVar(&f.Status, "status", 0, "answer this status")
	s.StringVar(&f.Body, "body", "", "body of that answer; JSON is sent as such, anything else as text/plain")
	s.StringArrayVar(&headers, "header", nil, "header of that answer, as 'Name: value'; may be repeated")
	s.StringVar(&f.Delay, "delay", "", "wait first, for example 2s; at most 10m")
	s.BoolVar(&f.Reset, "reset", false, "reset the connection")
	s.IntVar(&truncate, "truncate", 0, "do the work, send this many bytes of the answer's body, end the connection")
	s.BoolVar(&f.AfterCommit, "after-commit", false, "do the work first, with --status or --reset")
	return labOrder(c, cmd, func(ctx context.Context, dir string, _ []string) (app.LabFault, error) {
		if f.Path == "" {
			return f, usageError{fmt.Errorf("--path is missing: which requests are to fail?")}
		}
		if cmd.Flags().Changed("truncate") {
			f.Truncate = &truncate
		}
		var err error
		if f.Header, err = headerMap(headers); err != nil {
			return f, err
		}
		return c.app.LabFaultAdd(ctx, dir, f)
	}, func(p *paper, f app.LabFault) { p.line("Ordered %s: %s.", f.Name, faultText(f)) })
}

func headerMap(headers []string) (map[string]string, error) {
	var all map[string]string
	for _, line := range headers {
		name, value, found := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !found || name == "" {
			return nil, usageError{fmt.Errorf("--header %q is not 'Name: value'", line)}
		}
		if all == nil {
			all = map[string]string{}
		}
		all[name] = strings.TrimSpace(value)
	}
	return all, nil
}

// faultText is an order in words.
func faultText(f app.LabFault) string {
	method := f.Method
	if method == "" {
		method = "any method"
	}
	var acts []string
	if f.Delay != "" {
		acts = append(acts, "wait "+f.Delay)
	}
	switch {
	case f.Status != 0:
		acts = append(acts, fmt.Sprintf("answer %d", f.Status))
	case f.Reset:
		acts = append(acts, "reset the connection")
	case f.Truncate != nil:
		acts = append(acts, fmt.Sprintf("do it and send %d bytes of the answer", *f.Truncate))
	}
	what := strings.Join(acts, ", then ")
	if f.AfterCommit && f.Truncate == nil {
		what += " after the work is done"
	}
	return fmt.Sprintf("%s %s, %s: %s", method, f.Path, plural(f.Times, "request", "requests"), what)
}

type faultsJSON struct {
	Faults []app.LabFault `json:"faults"`
}

func (c *command) labFaultList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the faults ordered, and how often each acted", Args: noArgs, Example: "  rekey lab fault list"}
	return labOrder(c, cmd,
		func(ctx context.Context, dir string, _ []string) (faultsJSON, error) {
			all, err := c.app.LabFaults(ctx, dir)
			return faultsJSON{all}, err
		},
		func(p *paper, all faultsJSON) {
			if len(all.Faults) == 0 {
				p.line("No fault is ordered.")
			}
			for _, f := range all.Faults {
				p.line("%-16s acted %d of %d; %s", f.Name, f.Acted, f.Times, faultText(f))
			}
		})
}

type clearedJSON struct {
	Cleared int `json:"cleared"`
}

func (c *command) labFaultClear() *cobra.Command {
	cmd := &cobra.Command{
		Use: "clear [NAME]", Short: "Withdraw one fault, or all", Example: "  rekey lab fault clear\n  rekey lab fault clear slow",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("give one name, or none for all")}
			}
			return nil
		},
	}
	return labOrder(c, cmd,
		func(ctx context.Context, dir string, args []string) (clearedJSON, error) {
			n, err := c.app.LabFaultClear(ctx, dir, strings.Join(args, ""))
			return clearedJSON{n}, err
		},
		func(p *paper, r clearedJSON) { p.line("Withdrawn: %s.", plural(r.Cleared, "fault", "faults")) })
}
