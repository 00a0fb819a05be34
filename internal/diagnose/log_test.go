package diagnose_test

import (
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

const short = "CANARYaaa" // of good, by gitlab-runner 18.2 and later

func line(number int, id string, edits ...func(*diagnose.LogLine)) diagnose.LogLine {
	l := diagnose.LogLine{Log: "runner.log", Number: number, ID: id, Text: "said " + id, Count: 1}
	for _, e := range edits {
		e(&l)
	}
	return l
}

// TestLogs holds what lines of a log add to an answer, and what they must not.
func TestLogs(t *testing.T) {
	t.Parallel()
	of := func(runner string) func(*diagnose.LogLine) { return func(l *diagnose.LogLine) { l.Runner = runner } }
	at := func(ago time.Duration) func(*diagnose.LogLine) {
		return func(l *diagnose.LogLine) { l.At = now.Add(-ago) }
	}
	to := func(url string) func(*diagnose.LogLine) { return func(l *diagnose.LogLine) { l.URL = url } }
	disabled := func(l *diagnose.LogLine) { l.Joined, l.Count = []string{"poll-unhealthy"}, 3 }
	refused := answered(rekey.AnswerRefused)
	saved := diagnose.File{ReadOnly: "its file system is mounted read-only"}
	running := []diagnose.Process{{Name: "gitlab-runner run (pid 7)", Config: "/etc/gitlab-runner/config.toml", Uses: []string{"/etc/gitlab-runner/config.toml"}}}
	online := func(status string) edit {
		return managed(rekey.Manager{SystemID: "s_abcdefabcdef", Status: status, ContactedAt: now.Add(-time.Minute), Version: "17.11.0"})
	}
	const (
		untold  = "invalid\nrecord-deleted error possible\nrotated-elsewhere error possible\nwrong-instance info possible\nserver-restored info possible"
		unsaved = "rotation-not-saved error likely < rotated-elsewhere"
	)
	reset, failed := line(10, "reset-succeeded", of(short)), line(11, "save-failed")
	for name, tc := range map[string]struct {
		edits     []edit
		file      diagnose.File
		processes []diagnose.Process
		logs      []diagnose.LogLine
		want      string
		notes     int
		found     string // of no section
		allowed   bool   // by the setting, today
	}{
		"refusals, and no more": {logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short))}, want: "valid"},
		"unhealthy, untimed":    {logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled)}, want: "valid\nunhealthy-window warning possible"},
		"unhealthy since ten minutes": {logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled, at(10*time.Minute))},
			want: "valid\nunhealthy-window warning likely"},
		"unhealthy, by an older version's short form": {logs: []diagnose.LogLine{line(3, "poll-forbidden", of("glrt-CAN"), disabled)}, want: "valid\nunhealthy-window warning possible"},
		"unhealthy two hours ago":                     {logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled, at(2*time.Hour))}, want: "valid"},
		"unhealthy, then loaded":                      {logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled), line(9, "config-loaded")}, want: "valid"},
		"loaded, then unhealthy":                      {logs: []diagnose.LogLine{line(3, "config-loaded"), line(9, "poll-forbidden", of(short), disabled)}, want: "valid\nunhealthy-window warning possible"},
		"unhealthy, then a job":                       {logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled), line(9, "poll-received", of(short))}, want: "valid"},
		"unhealthy, then another's job":               {logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled), line(9, "poll-received", of("otherbbbb"))}, want: "valid\nunhealthy-window warning possible"},
		"unhealthy, then the file was written": {file: diagnose.File{ModTime: now.Add(-time.Minute)},
			logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled, at(10*time.Minute))}, want: "valid"},
		"another is unhealthy":     {logs: []diagnose.LogLine{line(3, "poll-forbidden", of("otherbbbb"), disabled)}, want: "valid"},
		"unhealthy and refused":    {edits: []edit{refused}, logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled)}, want: untold},
		"unhealthy, no answer now": {edits: []edit{answered(rekey.AnswerUnreachable)}, logs: []diagnose.LogLine{line(3, "poll-forbidden", of(short), disabled)}, want: "unknown\nunreachable error certain"},

		"rotated and not saved":               {edits: []edit{refused, looked(diagnose.LookupFound)}, logs: []diagnose.LogLine{reset, failed}, want: lines("invalid", unsaved)},
		"rotated and not saved, no record":    {edits: []edit{refused}, logs: []diagnose.LogLine{reset, failed}, want: "invalid\nrotation-not-saved error likely < record-deleted < rotated-elsewhere"},
		"rotated and not saved, then deleted": {edits: []edit{refused, looked(diagnose.LookupGone)}, logs: []diagnose.LogLine{reset, failed}, want: "invalid\nrecord-deleted error likely\nwrong-instance info possible", notes: 1},
		"rotated and saved":                   {edits: []edit{refused}, logs: []diagnose.LogLine{reset}, want: untold},
		"not saved, then rotated":             {edits: []edit{refused}, logs: []diagnose.LogLine{line(2, "save-failed"), reset}, want: untold, notes: 1},
		"another was rotated and not saved":   {edits: []edit{refused}, logs: []diagnose.LogLine{line(10, "reset-succeeded", of("otherbbbb")), failed}, want: untold, notes: 1},
		"not saved, and accepted":             {logs: []diagnose.LogLine{reset, failed}, want: "valid", notes: 1},
		"a read-only mount, and online": {edits: []edit{refused, expiresBy(0, time.Hour), online("online")}, file: saved, processes: running,
			want: lines("invalid", unsaved)},
		"a read-only mount, and nobody says who is online": {edits: []edit{refused, expiresBy(0, time.Hour), looked(diagnose.LookupFound)}, file: saved, processes: running,
			want: "invalid\nrotated-elsewhere error possible\nrotation-not-saved error possible\nwrong-instance info possible"},
		"a read-only mount, before a rotation is due": {edits: []edit{refused, expiresBy(0, 24*time.Hour), looked(diagnose.LookupFound), func(s *diagnose.Section) { s.ObtainedAt = now.Add(-time.Hour) }},
			file: saved, processes: running, want: "invalid\nrotated-elsewhere error likely\nwrong-instance info possible"},
		"a read-only mount, and offline": {edits: []edit{refused, expiresBy(0, time.Hour), online("offline")}, file: saved, processes: running,
			want: "invalid\nrotated-elsewhere error likely"},
		"a read-only mount that nobody uses": {edits: []edit{refused, expiresBy(0, time.Hour), online("online")}, file: saved,
			want: "invalid\nrotated-elsewhere error likely"},
		"online, and it can be saved": {edits: []edit{refused, expiresBy(0, time.Hour), online("online")}, processes: running,
			want: "invalid\nrotated-elsewhere error likely"},
		"a read-only mount of a token that is never rotated": {edits: []edit{refused, online("online")}, file: saved, processes: running,
			want: "invalid\nrotated-elsewhere error likely"},

		"legacy field, of nobody":                      {logs: []diagnose.LogLine{line(3, "register-compatible")}, want: "valid", found: "runner-token-in-legacy-field warning certain"},
		"legacy field, of this runner":                 {logs: []diagnose.LogLine{line(3, "register-compatible", of(short))}, want: "valid\nrunner-token-in-legacy-field warning certain"},
		"a runner token, sent as a registration token": {logs: []diagnose.LogLine{line(3, "register-forbidden/refused", of("glrt-XYZ"))}, want: "valid", found: "runner-token-in-legacy-field warning certain"},
		"a registration token that is refused":         {logs: []diagnose.LogLine{line(3, "register-forbidden/refused", of("GR134894"))}, want: "valid"},
		"reserved arguments":                           {logs: []diagnose.LogLine{line(3, "register-reserved"), line(9, "register-reserved")}, want: "valid", found: "reserved-arguments warning certain"},
		"410, and a good token":                        {logs: []diagnose.LogLine{line(3, "register-forbidden/gone", to(base+"/api/v4/runners"))}, want: "valid", found: "legacy-registration-disabled warning certain"},
		"410, and GitLab registers the old way again": {logs: []diagnose.LogLine{line(3, "register-forbidden/gone", to(base+"/api/v4/runners"))}, allowed: true,
			want: "valid", found: "legacy-registration-disabled warning possible"},
		"410, and a registration token": {edits: []edit{notAsked, token("GR1348941CANARYaaaaaaaaaaaaaa")},
			logs: []diagnose.LogLine{line(3, "register-forbidden/gone", to(base+"/api/v4/runners"))},
			want: "invalid\nregistration-token-in-config error certain\nlegacy-registration-disabled warning certain"},
		"410 of another GitLab": {edits: []edit{notAsked, token("GR1348941CANARYaaaaaaaaaaaaaa")},
			logs: []diagnose.LogLine{line(3, "register-forbidden/gone", to("https://gitlab.example.com.evil.example/api/v4/runners"))},
			want: "invalid\nregistration-token-in-config error certain", found: "legacy-registration-disabled warning certain"},
		"lines of no cause": {logs: []diagnose.LogLine{line(3, "poll-none", of(short)), line(4, "job-submit"), line(5, "rate-limited")}, want: "valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts(section(tc.edits...))
			f.Configs[0].File, f.Processes, f.Logs = tc.file, tc.processes, tc.logs
			if tc.allowed {
				f.Servers[0].RegistrationAllowed = &tc.allowed
				f.Servers[0].RegistrationEvidence = rekey.Evidence{Seen: "the setting is on", Where: "GET /application/settings", At: now}
			}
			r := diagnose.Judge(f)
			if got := brief(r.Sections[0]); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
			if got := strings.TrimPrefix(brief(diagnose.SectionReport{Findings: r.Findings}), "\n"); got != tc.found {
				t.Errorf("got of no section %q, want %q", got, tc.found)
			}
			if len(r.Notes) != tc.notes {
				t.Errorf("got notes %q, want %d", r.Notes, tc.notes)
			}
		})
	}
}

func TestLogTextHoldsNoToken(t *testing.T) {
	t.Parallel()
	leak := line(3, "poll-forbidden", func(l *diagnose.LogLine) {
		l.Runner, l.Joined, l.Text = short, []string{"poll-unhealthy"}, "token "+good.Reveal()
	})
	f := facts(section())
	f.Logs, f.LogNotes = []diagnose.LogLine{leak}, []string{"note of " + good.Reveal()}
	r := diagnose.Judge(f)
	if text := seen(r.Sections[0], rekey.UnhealthyWindow) + strings.Join(r.Notes, " "); text == " " || strings.Contains(text, "CANARY") {
		t.Errorf("got %q, want the line and the note without the token", text)
	}
}
