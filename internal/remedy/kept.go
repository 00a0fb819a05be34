package remedy

import (
	"fmt"
	"regexp"

	"rekey"
)

// keptBy matches the tools whose state holds a runner's token; docs/guides/ownership.md.
var keptBy = regexp.MustCompile(`(?i)\b(terraform|opentofu|crossplane|pulumi)\b`)

// recordKeeper returns the tool that a record's maintenance note or description
// names, "" when it names none. GitLab itself does not know who keeps a record.
func recordKeeper(r rekey.Runner) string {
	for _, text := range []string{r.MaintenanceNote, r.Description} {
		if tool := keptBy.FindString(text); tool != "" {
			return tool
		}
	}
	return ""
}

// kept leaves alone a record that a tool keeps: the token in its state would be
// the refused one, and its next run would undo the change.
func kept(r rekey.Runner) (choice, bool) {
	tool := recordKeeper(r)
	if tool == "" {
		return choice{}, false
	}
	return leave(fmt.Sprintf("renew it there (terraform apply -replace=… does for Terraform) and give the token with --token-file; or `rekey fix --separate-record` makes a record that %s does not keep", tool),
		"runner %d says that %s keeps it: a change made here would make that tool's state stale", r.ID, tool), true
}

// unkept takes a keeper's words out of what a copy is given: nobody keeps it yet.
func unkept(a *rekey.Attributes, name string) {
	if keptBy.MatchString(a.MaintenanceNote) {
		a.MaintenanceNote = ""
	}
	if keptBy.MatchString(a.Description) {
		a.Description = name
	}
}
