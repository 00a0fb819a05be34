package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// planted is the truth about one section. It is written where doctor never looks.
type planted struct {
	Config   string   `json:"config"`
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	Causes   []string `json:"causes"`
	Verdict  string   `json:"verdict"`
	Left     bool     `json:"left"` // cannot be repaired from here
	RunnerID int64    `json:"runner_id"`
}

// host is one runner host: a directory with a config.
type host struct {
	name     string
	dir      string
	project  string // --expect-project, "" for none
	shape    func([]*section) string
	sections []*section
}

func (h *host) config() string { return filepath.Join(h.dir, "config.toml") }

// section is one [[runners]] before it is written.
type section struct {
	name, url, token, executor string
	id                         int64
	obtained                   time.Time
	expires                    time.Time
	truth                      planted
}

// breakage plants one cause in one section.
type breakage struct {
	name    string
	causes  []string
	verdict string
	left    bool
	host    string // "" for any
	plant   func(context.Context, *demo, *section) error
}

// plant draws the breakages, places them, and writes the configs.
func (d *demo) plant(ctx context.Context) error {
	d.hosts = []*host{
		{name: "alpha", shape: shapeCommented}, {name: "bravo", shape: shapeWindows},
		{name: "charlie", shape: shapeTerse}, {name: "delta", shape: shapeIndented, project: "acme/web"},
	}
	for _, h := range d.hosts {
		h.dir = filepath.Join(d.Dir, "hosts", h.name)
		if err := os.MkdirAll(h.dir, 0o700); err != nil {
			return err
		}
	}
	for _, b := range d.draw() {
		if err := d.place(ctx, b); err != nil {
			return fmt.Errorf("plant %s: %w", b.name, err)
		}
	}
	return d.write()
}

func (d *demo) place(ctx context.Context, b breakage) error {
	h := d.hosts[d.rng.IntN(len(d.hosts))]
	for _, other := range d.hosts {
		if other.name == b.host {
			h = other
		}
	}
	s := &section{name: fmt.Sprintf("%s-%d", h.name, len(h.sections)+1), url: d.lab.URL(), executor: "shell"}
	s.truth = planted{Config: h.config(), Causes: b.causes, Verdict: b.verdict, Left: b.left}
	if err := b.plant(ctx, d, s); err != nil {
		return err
	}
	s.truth.RunnerID = s.id
	h.sections = append(h.sections, s)
	if slices.Contains(b.causes, "duplicate-token") {
		twin := *s
		twin.name = fmt.Sprintf("%s-%d", h.name, len(h.sections)+1)
		h.sections = append(h.sections, &twin)
	}
	return nil
}

func (d *demo) write() error {
	for _, h := range d.hosts {
		d.rng.Shuffle(len(h.sections), func(i, j int) { h.sections[i], h.sections[j] = h.sections[j], h.sections[i] })
		for i, s := range h.sections {
			s.truth.Index, s.truth.Name = i, s.name
			d.truth = append(d.truth, s.truth)
		}
		if err := os.WriteFile(h.config(), []byte(h.shape(h.sections)), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(h.dir, ".runner_system_id"), []byte("r_"+d.word(12)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) word(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, n)
	for i := range text {
		text[i] = letters[d.rng.IntN(len(letters))]
	}
	return string(text)
}

// writeTruth keeps the truth apart from the hosts.
func (d *demo) writeTruth() error {
	text, err := json.MarshalIndent(d.truth, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Dir, "truth.json"), text, 0o600)
}

func (d *demo) broken() int {
	n := 0
	for _, t := range d.truth {
		if len(t.Causes) > 0 {
			n++
		}
	}
	return n
}

func (d *demo) ways() int {
	ways := map[string]bool{}
	for _, t := range d.truth {
		for _, c := range t.Causes {
			ways[c] = true
		}
	}
	return len(ways)
}

// repaired is the truth as it should be after fix.
func (d *demo) repaired() []planted {
	after := slices.Clone(d.truth)
	for i := range after {
		if !after[i].Left {
			after[i].Causes, after[i].Verdict = nil, "valid"
		}
	}
	return after
}
