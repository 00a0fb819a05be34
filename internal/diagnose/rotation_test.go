package diagnose_test

import (
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

func expiresBy(answer, file time.Duration) edit {
	return func(s *diagnose.Section) {
		if answer != 0 {
			s.Answer.ExpiresAt = now.Add(answer)
		}
		if file != 0 {
			s.ExpiresAt = now.Add(file)
		}
	}
}

func managed(list ...rekey.Manager) edit {
	return func(s *diagnose.Section) {
		answer, expires := s.Answer, s.ExpiresAt
		record(func(r *diagnose.Record) { r.Managers, r.ManagersKnown = list, true })(s)
		s.Answer, s.ExpiresAt = answer, expires
	}
}

// TestRotation holds what is told of an expiring token that nobody will renew, or
// that several would, against what looks like it and is well.
func TestRotation(t *testing.T) {
	t.Parallel()
	const (
		day      = 24 * time.Hour
		certain  = "rotation-not-scheduled warning certain"
		likely   = "rotation-not-scheduled warning likely"
		ownID    = "s_abcdefabcdef"
		unstated = time.Duration(0)
	)
	off := func(s *diagnose.Section) { s.RotationOff = true }
	own := func(version string) rekey.Manager {
		return rekey.Manager{SystemID: ownID, Version: version, Status: "online", ContactedAt: now}
	}
	other := func(status string) rekey.Manager {
		return rekey.Manager{SystemID: "s_otherotherot", Status: status, ContactedAt: now.Add(-time.Hour)}
	}
	for name, tc := range map[string]struct {
		edits []edit
		file  diagnose.File
		want  string
	}{
		"never expires":                       {want: "valid"},
		"expires, dates in the file":          {edits: []edit{expiresBy(day, day)}, want: "valid"},
		"only the file says so":               {edits: []edit{expiresBy(unstated, day)}, want: "valid"},
		"GitLab says so, the file does not":   {edits: []edit{expiresBy(day, unstated)}, want: lines("valid", certain)},
		"rotation off, version unknown":       {edits: []edit{expiresBy(day, day), off}, want: lines("valid", likely)},
		"rotation off, known version":         {edits: []edit{expiresBy(unstated, day), off, managed(own("17.11.0"))}, want: lines("valid", certain)},
		"the flag before it existed":          {edits: []edit{expiresBy(day, day), off, managed(own("16.11.0"))}, want: lines("valid", "version-skew warning certain")},
		"rotation off, never expires":         {edits: []edit{off}, want: "valid"},
		"a runner that cannot rotate":         {edits: []edit{expiresBy(day, day), managed(own("15.2.0"))}, want: lines("valid", "version-skew warning certain", likely)},
		"read-only mount":                     {edits: []edit{expiresBy(day, day)}, file: diagnose.File{ReadOnly: "mounted read-only"}, want: lines("valid", likely)},
		"read-only mount, never expires":      {file: diagnose.File{ReadOnly: "mounted read-only"}, want: "valid"},
		"generated":                           {edits: []edit{expiresBy(unstated, day)}, file: diagnose.File{Generated: "Ansible"}, want: lines("valid", likely)},
		"generated, never expires":            {file: diagnose.File{Generated: "Ansible"}, want: "valid"},
		"a stale date only":                   {edits: []edit{expiresBy(unstated, -day), off}, want: lines("valid", "token-expired warning certain")},
		"refused, no dates":                   {edits: []edit{answered(rekey.AnswerRefused), off}, want: lines("invalid", "record-deleted error possible", "rotated-elsewhere error possible", "wrong-instance info possible", "server-restored info possible")},
		"expires, one manager":                {edits: []edit{expiresBy(day, day), managed(own("17.11.0"))}, want: "valid"},
		"expires, two managers online":        {edits: []edit{expiresBy(day, day), managed(own("17.11.0"), other("online"))}, want: lines("valid", "shared-token warning certain")},
		"expires, the other is offline":       {edits: []edit{expiresBy(day, day), managed(own("17.11.0"), other("offline"))}, want: lines("valid", "shared-token info possible")},
		"expires, the other is stale":         {edits: []edit{expiresBy(day, day), managed(own("17.11.0"), other("stale"))}, want: "valid"},
		"shared, never expires":               {edits: []edit{managed(own("17.11.0"), other("online"))}, want: "valid"},
		"a verify without system id":          {edits: []edit{expiresBy(day, day), managed(own("17.11.0"), rekey.Manager{SystemID: "<legacy>", Status: "online"})}, want: "valid"},
		"shared, and nobody rotates it":       {edits: []edit{expiresBy(day, unstated), managed(own("17.11.0"), other("online"))}, want: lines("valid", certain, "shared-token warning certain")},
		"shared and refused is rotated there": {edits: []edit{expiresBy(unstated, day), answered(rekey.AnswerRefused), managed(own("17.11.0"), other("online"))}, want: lines("invalid", "rotated-elsewhere error likely")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts(section(tc.edits...))
			f.Configs[0].File = tc.file
			if got := brief(judgeOne(t, f)); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}
