package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rekey/internal/app"
)

// In every command's --help a switch shows no value, and any other flag one word:
// pflag takes what is back-quoted in a usage text for the value's name.
func TestHelpNamesTheValuesOfFlags(t *testing.T) {
	t.Parallel()
	c := &command{app: app.New(func(string) (string, bool) { return "", false }, Version())}
	commands, flags := 0, 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		commands++
		look := func(f *pflag.Flag) {
			flags++
			value, usage := pflag.UnquoteUsage(f)
			switch {
			case f.Value.Type() == "bool" && value != "":
				t.Errorf("%s --help: --%s is a switch and shows the value %q: %s", cmd.CommandPath(), f.Name, value, f.Usage)
			case strings.ContainsAny(value, " \t"):
				t.Errorf("%s --help: --%s shows the value %q, want one word: %s", cmd.CommandPath(), f.Name, value, f.Usage)
			case strings.Contains(usage, "`"):
				t.Errorf("%s --help: --%s shows a back-quote: %s", cmd.CommandPath(), f.Name, usage)
			}
		}
		cmd.LocalFlags().VisitAll(look)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(c.root())
	if commands < 30 || flags < 150 {
		t.Errorf("only %d commands and %d flags were found", commands, flags)
	}
}
