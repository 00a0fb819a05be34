package diagnose_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

var (
	everyAnswer = []rekey.AnswerKind{
		"", rekey.AnswerAccepted, rekey.AnswerRefused, rekey.AnswerReadOnly, rekey.AnswerOrphaned, rekey.AnswerRateLimited,
		rekey.AnswerRedirected, rekey.AnswerNotFound, rekey.AnswerUnreachable, rekey.AnswerUnexpected, rekey.AnswerBadURL,
		rekey.AnswerNotAsked, "an answer of the future",
	}
	everyLookup = []diagnose.Lookup{
		diagnose.LookupNone, diagnose.LookupFound, diagnose.LookupGone, diagnose.LookupDenied, diagnose.LookupFailed,
	}
	everyText = []string{
		"glrt-CANARYaaaaaaaaaaaaaa", "glrt-CANARY", "CANARY.strange", "CANARYaaaaaaaaaaaaaa",
		"", "glrt-CANARYaaaaaaaaaaaaaa\r\n", "GR1348941CANARYaaaaaaaaaaaaaa", "glpat-CANARYaaaaaaaaaaaaaa",
		"${T}", "glrt-aaaa$CANARYaaaaaaaaaaaaaa",
	}
	everyExpansion = []string{"", "glrt-CANARYaaaaaaaaaaaaaa", "CANARY in quotes", "GR1348941CANARYaaaaaaaaaaaaaa"}
	everyURL       = []string{base, "", "https://user:glrt-CANARYpassword@gitlab.example.com/ci", "${U}", "glrt-CANARYaaaaaaaaaaaaaa"}
	everyExpiry    = []time.Duration{0, -time.Hour, time.Hour}
)

// everySection calls do with every combination of what a section may show.
func everySection(do func(diagnose.Section)) {
	for _, kind := range everyAnswer {
		for _, lookup := range everyLookup {
			for _, text := range everyText {
				for i, expansion := range everyExpansion {
					for j, address := range everyURL {
						if i > 0 && len(rekey.References(text+address)) == 0 {
							continue // nothing to expand
						}
						expiry := everyExpiry[(i+j+len(text))%len(everyExpiry)]
						do(combine(kind, lookup, text, expansion, address, expiry))
					}
				}
			}
		}
	}
}

func combine(kind rekey.AnswerKind, lookup diagnose.Lookup, text, expansion, address string, expiry time.Duration) diagnose.Section {
	s := section(answered(kind), looked(lookup), token(text), func(s *diagnose.Section) { s.URL = address })
	if expiry != 0 {
		s.ExpiresAt = now.Add(expiry)
	}
	if expansion != "" {
		expanded(expansion)(&s)
		s.ExpandedURL = base
	} else {
		s.Unset = append(rekey.References(text), rekey.References(address)...)
	}
	leak := text + " and " + expansion
	s.Name, s.Answer.Message, s.Answer.Location, s.Answer.IsGitLab, s.Record.Reason = leak, leak, base+"/?token="+text, leak, leak
	s.Answer.Request = "POST https://user:glrt-CANARYpassword@gitlab.example.com/api/v4/runners/verify"
	s.SystemIDProblem = leak
	return s
}

func TestEverySectionKeepsThePromises(t *testing.T) {
	t.Parallel()
	count := 0
	everySection(func(s diagnose.Section) {
		count++
		r := diagnose.Judge(facts(s))
		if problem := broken(s, r); problem != "" && !t.Failed() {
			t.Errorf("%s\nsection %q url %q answer %q lookup %q expanded %v expires %v\ngot:\n%s", problem,
				s.Token.Reveal(), s.URL, s.Answer.Kind, s.Record.Lookup, s.Expanded, s.ExpiresAt, brief(r.Sections[0]))
		}
	})
	if count < 5000 {
		t.Errorf("got %d combinations, want thousands", count)
	}
}

// broken names the first promise that the report of one section breaks.
func broken(s diagnose.Section, r diagnose.Report) string {
	got := r.Sections[0]
	lex := s.Token.Lexical()
	reference := lex.Kind == rekey.TokenReference
	fromEnvironment := reference || len(rekey.References(s.URL)) > 0
	notSendable := !lex.Sendable && !reference
	refused := s.Answer.Kind == rekey.AnswerRefused && !fromEnvironment
	switch {
	case got.Verdict == rekey.Invalid && !notSendable && !refused:
		return "invalid without a refusal, rules 4 and 5"
	case notSendable && got.Verdict != rekey.Invalid:
		return "not sendable and not invalid, rule 4"
	case fromEnvironment && lex.Sendable && got.Verdict == rekey.Invalid, reference && got.Verdict == rekey.Invalid:
		return "invalid by the environment, rule 7"
	case got.Verdict == rekey.Valid && s.Answer.Kind != rekey.AnswerAccepted:
		return "valid without an acceptance"
	case got.Verdict != rekey.Valid && got.Worst() != rekey.Failing:
		return "not valid without an error, rule 2"
	case r.Summary.Valid+r.Summary.Invalid+r.Summary.Unknown != 1:
		return "the summary does not count the section once"
	}
	if problem := badFindings(got.Findings); problem != "" {
		return problem
	}
	raw, err := json.Marshal(r)
	switch {
	case err != nil:
		return err.Error()
	case strings.Contains(string(raw), "CANARY"):
		return "the report holds a token: " + string(raw)
	case strings.Contains(string(raw), "null"):
		return "the report holds null: " + string(raw)
	}
	return ""
}

func badFindings(list []rekey.Finding) string {
	causes := map[rekey.Cause]bool{}
	for _, f := range list {
		_, registered := diagnose.LookupEntry(f.Cause)
		switch {
		case causes[f.Cause]:
			return fmt.Sprintf("%s stands twice", f.Cause)
		case !registered:
			return fmt.Sprintf("%s is not registered", f.Cause)
		case len(f.Evidence) == 0 || f.Remedy == "" || f.Docs == "":
			return fmt.Sprintf("%s lacks evidence, remedy or page", f.Cause)
		}
		for _, e := range f.Evidence {
			if e.Seen == "" || strings.Contains(e.Seen, "%!") {
				return fmt.Sprintf("%s has a bad sentence: %q", f.Cause, e.Seen)
			}
		}
		causes[f.Cause] = true
		if problem := badFindings(f.Because); problem != "" {
			return problem
		}
	}
	return ""
}

func TestJudgingTwiceGivesTheSame(t *testing.T) {
	t.Parallel()
	f := facts(section(answered(rekey.AnswerRefused)), section(), section(answered(rekey.AnswerUnreachable)))
	first, _ := json.Marshal(diagnose.Judge(f))
	second, _ := json.Marshal(diagnose.Judge(f))
	if string(first) != string(second) {
		t.Errorf("got %s, want %s", second, first)
	}
}
