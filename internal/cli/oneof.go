package cli

import (
	"fmt"
	"slices"
	"strings"
)

// oneOf refuses a flag's value that is none of those allowed.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	names := strings.TrimPrefix(strings.Join(allowed, ", "), ", ")
	return usageError{fmt.Errorf("%s %q is not known: use one of %s", flag, value, names)}
}
