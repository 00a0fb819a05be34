package diagnose_test

import (
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// together judges sections of which each stands in a config of its own.
func together(sections ...diagnose.Section) []string {
	f := facts()
	f.Servers[0].NewestRunner, f.Servers[0].NewestIsWhole = 0, false // nobody's user token may list all runners
	f.Configs = nil
	for i, s := range sections {
		s.Config = "/srv/" + string(rune('a'+i)) + "/config.toml"
		f.Configs = append(f.Configs, diagnose.Config{Path: s.Config, Sections: []diagnose.Section{s}})
	}
	var got []string
	for _, s := range diagnose.Judge(f).Sections {
		got = append(got, brief(s))
	}
	return got
}

func TestJudgeTogether(t *testing.T) {
	t.Parallel()
	const (
		goneOnly = "invalid\nrecord-deleted error likely\nwrong-instance info possible"
		reset    = "invalid\nrotated-elsewhere error likely\nwrong-instance info possible"
		hint     = "\nserver-restored info possible"
		hinted   = "invalid\nrecord-deleted error likely\nserver-restored info likely\nwrong-instance info possible"
		untold   = "invalid\nrecord-deleted error possible\nrotated-elsewhere error possible\nwrong-instance info possible\nserver-restored info possible"
	)
	tokens := []string{"glrt-CANARYaaaaaaaaaaaaaa", "glrt-CANARYbbbbbbbbbbbbbb", "glrt-CANARYcccccccccccccc", "glrt-CANARYdddddddddddddd"}
	of := func(i int, id rekey.RunnerID, edits ...edit) diagnose.Section {
		s := section(append([]edit{token(tokens[i])}, edits...)...)
		s.RunnerID, s.Record.Runner.ID, s.SystemID = id, id, rekey.SystemID("r_system"+string(rune('a'+i))+"abcde")
		return s
	}
	obtained := func(ago time.Duration) edit { return func(s *diagnose.Section) { s.ObtainedAt = now.Add(-ago) } }
	system := func(id rekey.SystemID) func(diagnose.Section) diagnose.Section {
		return func(s diagnose.Section) diagnose.Section { s.SystemID = id; return s }
	}
	refused, gone, found := answered(rekey.AnswerRefused), looked(diagnose.LookupGone), looked(diagnose.LookupFound)
	page := func(reason string) edit {
		return func(s *diagnose.Section) {
			looked(diagnose.LookupFailed)(s)
			s.Record.Reason = reason
		}
	}
	broken := page("500 Internal Server Error")
	for name, tc := range map[string]struct {
		sections []diagnose.Section
		want     []string
	}{
		"an older token of the record works again": {
			[]diagnose.Section{of(0, 7, obtained(48*time.Hour)), of(1, 7, refused, found, obtained(time.Hour))},
			[]string{"valid", "invalid\nserver-restored error likely < rotated-elsewhere"}},
		"a newer token of the record works": {
			[]diagnose.Section{of(0, 7, obtained(time.Hour)), of(1, 7, refused, found, obtained(48*time.Hour))},
			[]string{"valid", "invalid\nrotated-elsewhere error likely"}},
		"an older token of another record works": {
			[]diagnose.Section{of(0, 8, obtained(48*time.Hour)), of(1, 7, refused, found, obtained(time.Hour))},
			[]string{"valid", "invalid\nrotated-elsewhere error likely\nwrong-instance info possible"}},
		"an older token, whose own record GitLab names": {
			[]diagnose.Section{of(0, 7, obtained(48*time.Hour), func(s *diagnose.Section) { s.Answer.RunnerID = 9 }), of(1, 7, refused, found, obtained(time.Hour))},
			[]string{"valid", "invalid\nrotated-elsewhere error likely\nwrong-instance info possible"}},
		"an older token of unknown age": {
			[]diagnose.Section{of(0, 7, func(s *diagnose.Section) { s.ObtainedAt = time.Time{} }), of(1, 7, refused, found, obtained(time.Hour))},
			[]string{"valid", "invalid\nrotated-elsewhere error likely"}},

		"nothing is accepted and no record can be shown": {
			[]diagnose.Section{of(0, 7, refused, broken), of(1, 8, refused, broken)},
			[]string{"invalid\nserver-restored error likely < record-deleted < rotated-elsewhere", "invalid\nserver-restored error likely < record-deleted < rotated-elsewhere"}},
		"the same, but one is accepted": {
			[]diagnose.Section{of(0, 7, refused, broken), of(1, 8, refused, broken), of(2, 9)},
			[]string{untold, untold, "valid"}},
		"one record cannot be shown": {[]diagnose.Section{of(0, 7, refused, broken)}, []string{untold}},
		"the records are not reached": {
			[]diagnose.Section{of(0, 7, refused, page("timeout")), of(1, 8, refused, page("timeout"))}, []string{untold, untold}},

		"every record is there, no token is accepted": {
			[]diagnose.Section{of(0, 7, refused, found), of(1, 8, refused, found), of(2, 9, refused, found)},
			[]string{reset + hint, reset + hint, reset + hint}},
		"the same, but one token is accepted": {
			[]diagnose.Section{of(0, 7, refused, found), of(1, 8, refused, found), of(2, 9, refused, found), of(3, 10)},
			[]string{reset, reset, reset, "valid"}},

		"the newest three are gone": {
			[]diagnose.Section{of(0, 7, found), of(1, 8, refused, gone), of(2, 9, refused, gone), of(3, 10, refused, gone)},
			[]string{"valid", hinted, hinted, hinted}},
		"two are gone": {
			[]diagnose.Section{of(0, 7, found), of(1, 8, refused, gone), of(2, 9, refused, gone)}, []string{"valid", goneOnly, goneOnly}},
		"three are gone, one of them older": {
			[]diagnose.Section{of(0, 9, found), of(1, 8, refused, gone), of(2, 10, refused, gone), of(3, 11, refused, gone)},
			[]string{"valid", goneOnly, goneOnly, goneOnly}},

		"a copied system id with the token": {
			[]diagnose.Section{system("r_samesamesame")(of(0, 7)), system("r_samesamesame")(of(0, 7))},
			[]string{"valid\nduplicate-token warning certain\ncloned-system-id warning likely", "valid\nduplicate-token warning certain\ncloned-system-id warning likely"}},
		"a copied system id, other tokens": {
			[]diagnose.Section{system("r_samesamesame")(of(0, 7)), system("r_samesamesame")(of(1, 8))},
			[]string{"valid\ncloned-system-id info possible", "valid\ncloned-system-id info possible"}},
		"a machine's own id, other tokens": {
			[]diagnose.Section{system("s_samesamesame")(of(0, 7)), system("s_samesamesame")(of(1, 8))}, []string{"valid", "valid"}},
		"a machine's own id, one token": {
			[]diagnose.Section{system("s_samesamesame")(of(0, 7)), system("s_samesamesame")(of(0, 7))},
			[]string{"valid\nduplicate-token warning certain\ncloned-system-id info possible", "valid\nduplicate-token warning certain\ncloned-system-id info possible"}},
		"ids of their own": {[]diagnose.Section{of(0, 7), of(1, 8)}, []string{"valid", "valid"}},

		"accepted when asked again": {
			[]diagnose.Section{of(0, 7, obtained(time.Second), func(s *diagnose.Section) { s.Earlier = answer(rekey.AnswerRefused) })},
			[]string{"valid\nnot-propagated info certain"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := together(tc.sections...)
			for i, want := range tc.want {
				if got[i] != want {
					t.Errorf("section %d got:\n%s\nwant:\n%s", i, got[i], want)
				}
			}
		})
	}
}

// TestBeyondTheNewest: of records above every one that GitLab has, one or two were
// deleted; more at once, beside a token that works, are a restore.
func TestBeyondTheNewest(t *testing.T) {
	t.Parallel()
	const (
		deleted  = "invalid\nrecord-deleted error likely\nwrong-instance info possible\nserver-restored info possible"
		restored = "invalid\nserver-restored error likely < record-deleted"
	)
	gone := func(i int, edits ...edit) diagnose.Section {
		s := section(append([]edit{token("glrt-CANARYgone" + string(rune('a'+i)) + "aaaaaaaaa"), answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, edits...)...)
		s.RunnerID = rekey.RunnerID(8 + i)
		return s
	}
	there := section(func(s *diagnose.Section) { s.RunnerID = 7 })
	for name, tc := range map[string]struct {
		sections []diagnose.Section
		want     string
	}{
		"one":                     {[]diagnose.Section{gone(0), there}, deleted},
		"two":                     {[]diagnose.Section{gone(0), gone(1), there}, deleted},
		"three":                   {[]diagnose.Section{gone(0), gone(1), gone(2), there}, restored},
		"three, nothing accepted": {[]diagnose.Section{gone(0), gone(1), gone(2)}, deleted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts(tc.sections...)
			f.Servers[0].NewestRunner, f.Servers[0].NewestIsWhole = 7, true
			if got := brief(diagnose.Judge(f).Sections[0]); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

func TestOneFileIsNoClone(t *testing.T) {
	t.Parallel()
	for i, s := range diagnose.Judge(facts(section(), section())).Sections {
		if got, want := brief(s), "valid\nduplicate-token warning certain"; got != want {
			t.Errorf("section %d got:\n%s\nwant:\n%s", i, got, want)
		}
	}
}
