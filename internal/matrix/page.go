package matrix

import (
	"fmt"
	"slices"
	"strings"
)

var marks = map[string]string{"certain": "●", "likely": "◐", "possible": "○"}

// mark is a result in a few characters.
func (r Result) mark() string {
	switch {
	case len(r.Wrong) > 0:
		return "WRONG"
	case r.NA != "":
		return "–"
	case r.Answer == "unknown":
		return "?"
	case len(r.Found) == 0:
		return "ok"
	}
	var all []string
	for _, f := range r.Found {
		_, confidence, _ := strings.Cut(f, " ")
		all = append(all, marks[confidence])
	}
	return strings.Join(all, "")
}

// Page is docs/matrix.md.
func Page(rows []Row) string {
	var b strings.Builder
	b.WriteString(head)
	fmt.Fprintf(&b, "| cause | how it comes about | verdict |%s\n|---|---|---|%s\n", columns(), strings.Repeat("---|", 2*len(Versions)))
	for _, cause := range order(rows) {
		for _, r := range rows {
			if r.Cause == cause {
				fmt.Fprintf(&b, "| %s | %s | %s |%s\n", link(cause), r.Name, r.verdicts(), r.cells())
			}
		}
	}
	b.WriteString(notes(rows))
	return b.String()
}

const head = `# What doctor answers, for every cause

Made by ` + "`make matrix`" + `; do not edit. Every cause is planted alone, in at least two ways, in labs of five GitLab
versions, and ` + "`rekey doctor`" + ` looks at it twice: without (−) and with (+) a user token of an administrator. What has to come out is written in
the table of ` + "`internal/matrix`" + ` before anything runs, and a test fails where a run differs from it.

● the cause, certain · ◐ likely · ○ possible (several of them: the causes that cannot be told apart, the planted one among them) ·
? not named, and doctor says what could not be told and which right would tell it · ok nothing is wrong and nothing is found · – not applicable, see below

`

func columns() string {
	var b strings.Builder
	for _, v := range Versions {
		fmt.Fprintf(&b, " %s − | + |", v)
	}
	return b.String()
}

func link(cause string) string {
	var all []string
	for _, c := range strings.Split(cause, " + ") {
		if c != Healthy {
			c = "[" + c + "](findings/" + c + ".md)"
		}
		all = append(all, c)
	}
	return strings.Join(all, " and ")
}

// order is healthy, the causes, then what is two at once.
func order(rows []Row) []string {
	all := append([]string{Healthy}, Causes...)
	for _, r := range rows {
		if !slices.Contains(all, r.Cause) {
			all = append(all, r.Cause)
		}
	}
	return all
}

func (r Row) each(visit func(version string, who Who, res Result)) {
	for _, v := range Versions {
		for _, who := range []Who{Alone, WithToken} {
			visit(v, who, r.Results[v][who])
		}
	}
}

func (r Row) cells() string {
	var b strings.Builder
	r.each(func(_ string, _ Who, res Result) { fmt.Fprintf(&b, " %s |", res.mark()) })
	return b.String()
}

func (r Row) verdicts() string {
	var all []string
	r.each(func(_ string, _ Who, res Result) {
		if res.Verdict != "" && !slices.Contains(all, res.Verdict) {
			all = append(all, res.Verdict)
		}
	})
	return strings.Join(all, ", ")
}

// notes are the sets of answers and the reasons.
func notes(rows []Row) string {
	var b strings.Builder
	b.WriteString("\n## Where evidence cannot suffice\n\n")
	for _, r := range rows {
		for _, c := range r.Cells {
			if strings.Contains(c.Answer, "|") {
				fmt.Fprintf(&b, "- %s, %s%s: %s\n", r.Cause, r.Name, c.where(), strings.ReplaceAll(c.Answer, " | ", ", or "))
			}
		}
	}
	b.WriteString("\n## Not applicable\n\n")
	for _, r := range rows {
		for _, c := range r.Cells {
			if why, na := c.NotApplicable(); na {
				fmt.Fprintf(&b, "- %s, %s%s: %s\n", r.Cause, r.Name, c.where(), why)
			}
		}
	}
	b.WriteString("\n## Faults on top\n\n" + faults)
	for _, o := range Overlays {
		fmt.Fprintf(&b, "- %s\n", o.Name)
	}
	return b.String()
}

const faults = `On top of each scenario above that needs no lab of its own each of these is planted too. None may turn a verdict into another than
unknown; a section is unknown under each that keeps GitLab from answering, whatever it was before, but for a token that no GitLab could have issued.
` + "`make test`" + ` tries each of them in GitLab 17.11 and 18.11 for one of the two lookers, ` + "`make matrix FULL=-full`" + ` in every version for both.

`

func (c Cell) where() string {
	var all []string
	if c.Since != "" {
		all = append(all, "from "+c.Since)
	}
	if c.Until != "" {
		all = append(all, "up to "+c.Until)
	}
	if c.Who != "" {
		all = append(all, string(c.Who))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}
