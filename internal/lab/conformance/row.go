package conformance

import (
	"bufio"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rekey"
)

// Provenance says where a row is known from.
type Provenance string

// Where rows are known from, the best witness first.
const (
	Source        Provenance = "source"        // GitLab's own code
	Specification Provenance = "specification" // a request or service spec of GitLab
	Documentation Provenance = "documentation" // GitLab's documentation
	Runner        Provenance = "runner"        // what gitlab-runner sends or accepts
	Client        Provenance = "client"        // what an API client reads
	Unverified    Provenance = "unverified"    // a guess: served, asserted by nothing
)

// Provenances lists them in that order.
func Provenances() []Provenance {
	return []Provenance{Source, Specification, Documentation, Runner, Client, Unverified}
}

// Row is one rule. Since and Until are the first and the last minor version in
// which it is known to hold; zero leaves that end open. Where they are only
// Sighted, what holds next to them is not known.
type Row struct {
	ID      string
	Since   rekey.Version
	Until   rekey.Version
	Sighted bool
	From    []Provenance
	Rule    string
}

// Holds reports whether the rule is known to hold in a version.
func (r Row) Holds(v rekey.Version) bool {
	return v.AtLeast(r.Since.Major, r.Since.Minor) && (r.Until.IsZero() || !v.AtLeast(r.Until.Major, r.Until.Minor+1))
}

// Guess reports whether nothing but conjecture stands behind the row.
func (r Row) Guess() bool { return r.From[0] == Unverified }

//go:embed rows/*.txt
var files embed.FS

// Table returns every row, in the order of the reference. It fails on a row that
// ParseRow refuses and on an id that is there twice.
func Table() ([]Row, error) {
	entries, err := files.ReadDir("rows")
	if err != nil {
		return nil, fmt.Errorf("list rows: %w", err)
	}
	var table []Row
	for _, entry := range entries {
		text, err := files.ReadFile("rows/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		rows, err := ParseRows(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		table = append(table, rows...)
	}
	return table, unique(table)
}

func unique(table []Row) error {
	seen := map[string]bool{}
	for _, r := range table {
		if seen[r.ID] {
			return rekey.Errorf(rekey.KindInvalid, "two rows have the id %s", r.ID)
		}
		seen[r.ID] = true
	}
	return nil
}

// ParseRows reads one row a line; blank lines and those that begin with # say
// nothing.
func ParseRows(text string) ([]Row, error) {
	var rows []Row
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		row, err := ParseRow(line)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}

var idPattern = regexp.MustCompile(`^\d+(\.\d+)?-[a-z0-9-]+$`)

// ParseRow reads "id | versions | known from | rule". Versions are "all",
// "17.0-", "-16.11" or "17.0-18.0", with "~" before them where they are where the
// rule was seen and not where it changed; known from is a list with commas, and what is
// only a guess is nothing else.
func ParseRow(line string) (Row, error) {
	parts := strings.SplitN(line, " | ", 4)
	if len(parts) != 4 {
		return Row{}, rekey.Errorf(rekey.KindInvalid, "%q is not: id | versions | known from | rule", line)
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	row := Row{ID: parts[0], Rule: parts[3]}
	if !idPattern.MatchString(row.ID) || row.Rule == "" {
		return Row{}, rekey.Errorf(rekey.KindInvalid, "%q needs an id such as 2.1-token-missing, and a rule", line)
	}
	var err error
	if row.From, err = parseProvenance(parts[2]); err != nil {
		return Row{}, fmt.Errorf("row %s: %w", row.ID, err)
	}
	parts[1], row.Sighted = strings.CutPrefix(parts[1], "~")
	if row.Since, row.Until, err = parseVersions(parts[1]); err != nil {
		return Row{}, fmt.Errorf("row %s: %w", row.ID, err)
	}
	return row, nil
}

func parseProvenance(text string) ([]Provenance, error) {
	var from []Provenance
	for word := range strings.SplitSeq(text, ",") {
		p := Provenance(strings.TrimSpace(word))
		if !slices.Contains(Provenances(), p) {
			return nil, rekey.Errorf(rekey.KindInvalid, "%q does not say where the row is known from", word)
		}
		from = append(from, p)
	}
	if len(from) > 1 && slices.Contains(from, Unverified) {
		return nil, rekey.Errorf(rekey.KindInvalid, "a row is unverified or it is not: split it")
	}
	return from, nil
}

func parseVersions(text string) (since, until rekey.Version, err error) {
	if text == "all" {
		return since, until, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange || first == "" && last == "" {
		return since, until, rekey.Errorf(rekey.KindInvalid, "%q is no range of versions", text)
	}
	if first != "" {
		if since, err = rekey.ParseVersion(first); err != nil {
			return since, until, err
		}
	}
	if last != "" {
		until, err = rekey.ParseVersion(last)
	}
	return since, until, err
}
