package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

// snapshotJSON is what lab snapshot prints.
type snapshotJSON struct {
	Taken     *app.LabSnapshot  `json:"taken,omitempty"`
	Deleted   string            `json:"deleted,omitempty"`
	Snapshots []app.LabSnapshot `json:"snapshots,omitempty"`
	listed    bool
}

func (c *command) labSnapshot() *cobra.Command {
	list, remove := false, ""
	cmd := &cobra.Command{
		Use: "snapshot [NAME]", Short: "Back the lab up under a name; list and delete snapshots",
		Long: `snapshot saves the lab's database, as it is at one moment, and its secrets under
DIR/snapshots/NAME, while the lab goes on serving.`,
		Example: "  rekey lab snapshot before-18\n  rekey lab snapshot --list\n  rekey lab snapshot --delete before-18",
		Args: func(_ *cobra.Command, args []string) error {
			asked := len(args)
			for _, flag := range []bool{list, remove != ""} {
				if flag {
					asked++
				}
			}
			if asked != 1 {
				return usageError{errors.New("give a name, or --list, or --delete NAME")}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "list the snapshots")
	cmd.Flags().StringVar(&remove, "delete", "", "delete this snapshot")
	do := func(ctx context.Context, dir string, args []string) (snapshotJSON, error) {
		switch {
		case list:
			all, err := c.app.LabSnapshots(ctx, dir)
			return snapshotJSON{Snapshots: all, listed: true}, err
		case remove != "":
			return snapshotJSON{Deleted: remove}, c.app.LabSnapshotDelete(ctx, dir, remove)
		}
		taken, err := c.app.LabSnapshot(ctx, dir, args[0])
		return snapshotJSON{Taken: &taken}, err
	}
	return labOrder(c, cmd, do, showSnapshots)
}

func showSnapshots(p *paper, s snapshotJSON) {
	switch {
	case s.Taken != nil:
		p.line("Snapshot %s holds GitLab %s as it is now (%d KiB).", s.Taken.Name, s.Taken.Version, (s.Taken.Bytes+1023)/1024)
	case s.Deleted != "":
		p.line("Snapshot %s is deleted.", s.Deleted)
	case len(s.Snapshots) == 0:
		p.line("There is no snapshot.")
	default:
		p.line("%s", p.bold("NAME                     GITLAB     PROFILE       TAKEN (LAB'S CLOCK)"))
		for _, one := range s.Snapshots {
			p.line("%-24s %-10s %-13s %s", one.Name, one.Version, one.Profile, one.TakenAt.Format("2006-01-02 15:04:05 MST"))
		}
	}
}

func (c *command) labRestore() *cobra.Command {
	secrets := false
	cmd := &cobra.Command{
		Use: "restore NAME", Short: "Go back to a snapshot: newer runners vanish, rotated tokens revert",
		Long: `restore puts the database of a snapshot in the place of the lab's, its version
included. Runners made since vanish, tokens rotated since have their old value again.
The clock stays where it is. As with GitLab's own restore the secrets stay those of
the lab: after lose-secrets, --with-secrets brings back those of the snapshot too, as
an administrator who kept gitlab-secrets.json does.`,
		Example: "  rekey lab restore before-18\n  rekey lab restore before-18 --with-secrets",
		Args:    oneWord("the name of a snapshot; `rekey lab snapshot --list` shows them"),
	}
	cmd.Flags().BoolVar(&secrets, "with-secrets", false, "restore the snapshot's secrets too")
	return labOrder(c, cmd,
		func(ctx context.Context, dir string, args []string) (app.LabSnapshot, error) {
			return c.app.LabRestore(ctx, dir, args[0], secrets)
		},
		func(p *paper, s app.LabSnapshot) {
			p.line("The lab is GitLab %s as of snapshot %s again.", s.Version, s.Name)
		})
}
