package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group is a command that only holds others.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return usageError{fmt.Errorf("`%s` has no command %q%s", cmd.CommandPath(), args[0], meant(cmd.SuggestionsFor(args[0])))}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(children...)
	return cmd
}

// noArgs refuses stray words, as a mistyped flag leaves.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%q is not expected here", args[0])}
	}
	return nil
}

// known refuses a flag's value that is none of those allowed.
func known(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	names := strings.TrimPrefix(strings.Join(allowed, ", "), ", ")
	return usageError{fmt.Errorf("%s %q is not known: use one of %s", flag, value, names)}
}

// flagError adds the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		return usageError{fmt.Errorf("--%s %q is %s", bad.GetFlag().Name, bad.GetValue(), notA(bad.GetFlag().Value.Type()))}
	}
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return usageError{err}
	}
	var near []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if distance(name, f.Name) <= 2 || len(name) > 2 && strings.HasPrefix(f.Name, name) {
			near = append(near, "--"+f.Name)
		}
	})
	return usageError{fmt.Errorf("%w%s", err, meant(near))}
}

// notA says what a value should have been, by what pflag calls it.
func notA(pflagType string) string {
	switch pflagType {
	case "duration":
		return "no span of time: write it as 30s, 5m or 2h"
	case "bool":
		return "neither true nor false"
	case "int", "int64", "uint", "float64":
		return "no number"
	}
	return "no " + pflagType
}

func meant(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(names, " or ") + "?"
}

// distance is how many letters must be put in, taken out or exchanged to make b
// of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
