package matrix

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// report is what doctor promises to programs, rekey.doctor/1, as this package
// reads it.
type report struct {
	Schema   string    `json:"schema"`
	Sections []section `json:"sections"`
	Findings []finding `json:"findings"` // of no section
	Configs  []struct {
		Error string `json:"error"`
	} `json:"configs"`
}

type section struct {
	Name     string    `json:"name"`
	URL      string    `json:"url"`
	Verdict  string    `json:"verdict"`
	Findings []finding `json:"findings"`
	Untold   string    `json:"untold"`
}

type finding struct {
	Cause      string     `json:"cause"`
	Severity   string     `json:"severity"`
	Confidence string     `json:"confidence"`
	Evidence   []evidence `json:"evidence"`
	Remedy     string     `json:"remedy"`
	Docs       string     `json:"docs"`
	Because    []finding  `json:"because"`
}

type evidence struct {
	Seen  string `json:"seen"`
	Where string `json:"where"`
}

func (f finding) term() string { return f.Cause + " " + f.Confidence }

func decode(data []byte) (report, error) {
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("doctor's JSON: %w: %s", err, data)
	}
	if r.Schema != "rekey.doctor/1" {
		return r, fmt.Errorf("doctor's JSON has schema %q", r.Schema)
	}
	return r, nil
}

// Result is what came out in one cell.
type Result struct {
	Answer  string   // that was expected
	Verdict string   // of the planted sections
	Found   []string // "cause confidence", of the planted sections and of none
	Untold  bool
	Wrong   []string // how it differs from what was expected
	NA      string   // why there is nothing to see
	Raw     []byte   // doctor's JSON

	sections []section
}

// look reads what doctor said and compares it with the cell.
func look(r report, want Cell) Result {
	res := Result{Answer: want.Answer, sections: r.Sections}
	var all []finding
	for _, c := range r.Configs {
		if c.Error != "" {
			res.wrong("a config was not read: %s", c.Error)
		}
	}
	for _, s := range r.Sections {
		if !strings.HasPrefix(s.Name, "planted") {
			res.bystander(s)
			continue
		}
		if res.Verdict == "" {
			res.Verdict = s.Verdict
		}
		if s.Verdict != want.Verdict {
			res.wrong("section %s is %s, want %s", s.Name, s.Verdict, want.Verdict)
		}
		res.Untold = res.Untold || s.Untold != ""
		all = append(all, s.Findings...)
	}
	all = append(all, r.Findings...)
	for _, f := range all {
		res.plausible(f)
		if f.Severity != "info" || strings.Contains(want.Answer, f.Cause) {
			if !slices.Contains(res.Found, f.term()) {
				res.Found = append(res.Found, f.term())
			}
		}
	}
	res.compare(want.Answer)
	return res
}

func (r *Result) wrong(format string, args ...any) {
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
}

// bystander is a section in which nothing was planted.
func (r *Result) bystander(s section) {
	if s.Verdict != "valid" {
		r.wrong("section %s beside it is %s, want valid", s.Name, s.Verdict)
	}
	for _, f := range s.Findings {
		if f.Severity != "info" {
			r.wrong("section %s beside it has %s %s", s.Name, f.Severity, f.term())
		}
	}
}

// plausible wants evidence, a remedy and a page, and of what is not certain that
// it says what would decide.
func (r *Result) plausible(f finding) {
	if len(f.Evidence) == 0 || f.Remedy == "" || f.Docs == "" {
		r.wrong("%s lacks evidence, remedy or page", f.term())
	}
	open := func(e evidence) bool { return e.Where == "" && strings.Contains(e.Seen, "would") }
	if f.Confidence != "certain" && !slices.ContainsFunc(f.Evidence, open) {
		r.wrong("%s does not say what would decide", f.term())
	}
}

func (r *Result) compare(answer string) {
	switch {
	case answer == "nothing" || answer == "unknown":
		if len(r.Found) > 0 {
			r.wrong("found %s, want nothing", strings.Join(r.Found, ", "))
		}
		if answer == "unknown" && !r.Untold {
			r.wrong("nothing says what could not be told")
		}
	case strings.Contains(answer, "|"):
		r.among(terms(answer, "|"))
	default:
		r.exactly(terms(answer, "+"))
	}
}

// among wants nothing outside the set, and the first, which was planted, in it.
func (r *Result) among(set []string) {
	for _, f := range r.Found {
		if !slices.Contains(set, f) {
			r.wrong("found %s, which is not among the allowed answers", f)
		}
	}
	if !slices.Contains(r.Found, set[0]) {
		r.wrong("found %q, want %s among it", r.Found, set[0])
	}
}

func (r *Result) exactly(want []string) {
	have := slices.Sorted(slices.Values(r.Found))
	slices.Sort(want)
	if !slices.Equal(have, want) {
		r.wrong("found %q, want %q", have, want)
	}
}

func terms(answer, separator string) []string {
	var all []string
	for _, t := range strings.Split(answer, separator) {
		all = append(all, strings.TrimSpace(t))
	}
	return all
}
