// Command rekey finds GitLab runners whose token does not match their GitLab,
// says why, repairs them and proves the repair.
package main

import (
	"os"

	"rekey/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Process()))
}
