package configtoml

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"rekey"
)

// Document is a config.toml that gitlab-runner would load. It does not change:
// edits return another Document. Safe for concurrent use.
type Document struct {
	data     []byte
	config   *config
	tree     map[string]any
	layout   *layout
	sections []Section
}

// Section is one [[runners]] as gitlab-runner would see it, references such as
// ${VAR} not expanded.
type Section struct {
	Index     int // from 0, in the order of the file
	Line      int // of the header, from 1; 0 where positions are unknown
	TokenLine int // of the token's value, 0 when there is none
	Name      string
	URL       string
	ID        rekey.RunnerID // 0 when there is none
	Token     rekey.Token

	ObtainedAt time.Time // zero when absent or 0001-01-01
	ExpiresAt  time.Time // zero when absent or 0001-01-01: does not expire

	Executor     string
	TLSCAFile    string
	TLSCertFile  string
	TLSKeyFile   string
	FeatureFlags map[string]bool // not to be changed
}

// Parse reads data as gitlab-runner would. An error is a *SyntaxError, which is
// of kind invalid. An empty file has no sections. Data is copied.
func Parse(data []byte) (*Document, error) {
	data = bytes.Clone(data)
	if err := checkEncoding(data); err != nil {
		return nil, err
	}
	c, tree, err := accept(data)
	places := locate(data, len(byteOrderMark(data)))
	if err != nil {
		return nil, explain(err, data, places)
	}
	if err := ambiguous(tree, places); err != nil {
		return nil, err
	}
	if places.failed >= 0 || len(places.sections) != len(c.Runners) {
		places = &layout{unknown: true}
	}
	d := &Document{data: data, config: c, tree: tree, layout: places}
	d.sections = d.readSections()
	return d, nil
}

// Bytes returns a copy of exactly what was parsed.
func (d *Document) Bytes() []byte { return bytes.Clone(d.data) }

// Len returns the number of sections.
func (d *Document) Len() int { return len(d.sections) }

// Sections returns the sections in the order of the file.
func (d *Document) Sections() []Section { return slices.Clone(d.sections) }

// Concurrent returns how many jobs may run at once: 1 when the file is silent.
func (d *Document) Concurrent() int { return d.config.Concurrent }

// CheckInterval returns the pause between polls in seconds: 0 or less means
// gitlab-runner's default of 3.
func (d *Document) CheckInterval() int { return d.config.CheckInterval }

// Format writes what kind of thing d is, whatever the verb: its bytes hold
// tokens.
func (d *Document) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "config.toml with %d sections", d.Len())
}

func (d *Document) readSections() []Section {
	sections := make([]Section, len(d.config.Runners))
	for i, r := range d.config.Runners {
		sections[i] = Section{
			Index: i, Name: r.Name, URL: r.URL,
			ID: rekey.RunnerID(r.ID), Token: rekey.NewToken(r.Token),
			ObtainedAt: r.TokenObtainedAt, ExpiresAt: r.TokenExpiresAt,
			Executor:  r.Executor,
			TLSCAFile: r.TLSCAFile, TLSCertFile: r.TLSCertFile, TLSKeyFile: r.TLSKeyFile,
			FeatureFlags: r.FeatureFlags,
		}
		if !d.layout.unknown {
			sections[i].Line = d.layout.sections[i].line
			sections[i].TokenLine = d.layout.sections[i].fields[fieldToken].line
		}
	}
	return sections
}
