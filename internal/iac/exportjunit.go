package iac

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"rekey"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes one suite per file with findings and one case per finding:
// warnings and errors fail, what is for information is output. With no finding
// there is one case that passes.
func JUnit(w io.Writer, r Report) error {
	all := junitSuites{Name: "rekey audit"}
	for _, f := range r.Findings {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != f.Path {
			all.Suites = append(all.Suites, junitSuite{Name: f.Path})
		}
		suite := &all.Suites[len(all.Suites)-1]
		one := junitCase{Name: legal(fmt.Sprintf("%s:%d:%d %s", f.Path, f.Line, f.Column, f.Slug)), Class: string(f.Slug), File: f.Path}
		if f.Severity == rekey.Info {
			one.Output = legal(sentence(f))
		} else {
			one.Failure = &junitFailure{Type: string(f.Slug), Message: legal(f.Evidence), Text: legal(sentence(f))}
			suite.Failures++
			all.Failures++
		}
		suite.Cases = append(suite.Cases, one)
		suite.Tests++
		all.Tests++
	}
	if all.Tests == 0 {
		all.Tests = 1
		all.Suites = []junitSuite{{Name: "rekey audit", Tests: 1, Cases: []junitCase{{Name: fmt.Sprintf("%d files read, nothing found", r.Summary.Files), Class: "audit"}}}}
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

// legal leaves out what XML cannot hold.
func legal(text string) string {
	return strings.Map(func(r rune) rune {
		if r == 0xfffd || r < ' ' && r != '\t' && r != '\n' {
			return -1
		}
		return r
	}, text)
}
