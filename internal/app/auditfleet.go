package app

import (
	"fmt"

	"rekey"
	"rekey/internal/guard"
	"rekey/internal/iac"
)

// matchFleet tells which runner of a snapshot a token is, by the snapshot's keyed
// marks: no request is made and the snapshot holds no token.
func (a *App) matchFleet(in AuditInput, findings []iac.Finding) (string, error) {
	snapshot, err := a.ReadSnapshot(in.Fleet)
	if err != nil {
		return "", err
	}
	key, err := a.snapshotKey(SnapshotInput{State: in.State, KeyFile: in.KeyFile}, false)
	if err != nil {
		return "", err
	}
	if key.Name() != snapshot.Key {
		return "", rekey.Errorf(rekey.KindInvalid, "the key does not belong to %s: its marks were made with %s", in.Fleet, snapshot.Key).
			WithHint("name the key of the host that took it with --key-file")
	}
	known := map[guard.Mark]guard.Section{}
	for _, s := range snapshot.Sections {
		known[s.Token] = s
	}
	matched := map[rekey.Token]bool{}
	for i, f := range findings {
		token := f.Secret()
		s, ok := known[key.Mark(token)]
		if token.IsZero() || !ok {
			continue
		}
		matched[token] = true
		findings[i].Fleet = &iac.Fleet{RunnerID: s.RunnerID, Name: s.Name, GitLab: s.GitLab, Seen: whoseInFleet(s, snapshot)}
	}
	return fmt.Sprintf("%d of the tokens found are runners of %s", len(matched), in.Fleet), nil
}

func whoseInFleet(s guard.Section, snapshot guard.Snapshot) string {
	who := fmt.Sprintf("this is section %q of %s", s.Name, s.Config)
	if s.RunnerID != 0 {
		who = fmt.Sprintf("this is runner %d, section %q of %s", s.RunnerID, s.Name, s.Config)
	}
	return fmt.Sprintf("%s, at %s; %s when the snapshot was taken on %s", who, s.GitLab, s.Verdict, snapshot.TakenAt.UTC().Format("2006-01-02"))
}
