package export

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/upgrade"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Failure *junitProblem `xml:"failure,omitempty"`
		Error   *junitProblem `xml:"error,omitempty"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes one suite per config and one case per section, as GitLab's test
// report reads them: an invalid token is a failure, an unknown one and a config
// that cannot be read are errors, lesser findings are output.
func JUnit(w io.Writer, d Document) error {
	r := d.Report
	all := junitSuites{Name: "rekey doctor"}
	for _, c := range r.Configs {
		suite := junitSuite{Name: c.Path}
		if c.Error != "" {
			suite.add(junitCase{Name: "config", Class: c.Path, File: c.Path, Error: &junitProblem{"config", c.Error, c.Error}})
		}
		for _, s := range r.Sections {
			if s.Config == c.Path {
				suite.add(caseOf(s))
			}
		}
		all.Tests, all.Failures, all.Errors = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors
		all.Suites = append(all.Suites, suite)
	}
	if d.Upgrade != nil {
		suite := upgradeSuite(d)
		all.Tests, all.Failures, all.Errors = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors
		all.Suites = append(all.Suites, suite)
	}
	if len(r.Findings) > 0 {
		suite := junitSuite{Name: "logs"}
		for _, f := range r.Findings {
			suite.add(caseOfLog(f))
		}
		all.Tests, all.Failures = all.Tests+suite.Tests, all.Failures+suite.Failures
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// upgradeSuite is one case more per section: what breaks is a failure, what cannot
// be told an error.
func upgradeSuite(d Document) junitSuite {
	suite := junitSuite{Name: "before an upgrade to " + d.Upgrade.Version}
	for i, s := range d.Upgrade.Sections {
		today, words := d.Report.Sections[i], upgradeWords(d.Upgrade.Version, s)
		c := junitCase{Name: fmt.Sprintf("[%d] %s", s.Index, title(today)), Class: today.URL, File: s.Config}
		switch s.Effect {
		case upgrade.Breaks:
			c.Failure = &junitProblem{string(s.Effect), words, words}
		case upgrade.Unknown:
			c.Error = &junitProblem{string(s.Effect), words, words}
		default:
			c.Output = words
		}
		suite.add(c)
	}
	return suite
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Error != nil {
		s.Errors++
	}
	s.Cases = append(s.Cases, c)
}

// caseOfLog is a finding of no section.
func caseOfLog(f rekey.Finding) junitCase {
	c := junitCase{Name: string(f.Cause), Class: "logs"}
	text := message(diagnose.SectionReport{}, f)
	if f.Severity == rekey.Failing {
		c.Failure = &junitProblem{string(f.Cause), text, text}
	} else {
		c.Output = text
	}
	return c
}

func caseOf(s diagnose.SectionReport) junitCase {
	c := junitCase{Name: fmt.Sprintf("[%d] %s", s.Index, title(s)), Class: s.URL, File: s.Config}
	var grave, rest []string
	cause := ""
	for _, f := range s.Findings {
		if f.Severity == rekey.Failing {
			grave = append(grave, message(s, f))
			if cause == "" {
				cause = string(f.Cause)
			}
			continue
		}
		rest = append(rest, message(s, f))
	}
	c.Output = strings.Join(rest, "\n")
	if len(grave) == 0 {
		return c
	}
	problem := &junitProblem{cause, grave[0], strings.Join(grave, "\n")}
	if s.Verdict == rekey.Unknown {
		c.Error = problem
	} else {
		c.Failure = problem
	}
	return c
}
