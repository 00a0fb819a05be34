package app

import (
	"bytes"
	"slices"
	"sync"

	"rekey"
	"rekey/internal/configtoml"
)

// formerSections are sections that this run took out of configs, or gave another
// record. A gitlab-runner that has loaded them goes on with their jobs, and only a
// restart ends those. Safe for concurrent use.
type formerSections struct {
	mu      sync.Mutex
	configs map[string]*former
}

// former is what one config held before.
type former struct {
	sections []configtoml.Section
	edited   bool // by this run
	blind    bool // what it held before an earlier run's edit is not known
}

func (f *formerSections) of(config string) *former {
	config = realFile(config)
	if f.configs == nil {
		f.configs = map[string]*former{}
	}
	if f.configs[config] == nil {
		f.configs[config] = &former{}
	}
	return f.configs[config]
}

// replaced remembers what a config held before an edit. An edit that changes nothing
// was made by an earlier run.
func (f *formerSections) replaced(config string, before, after []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.of(config)
	doc, err := configtoml.Parse(before)
	if err != nil || bytes.Equal(before, after) {
		was.blind = true
		return
	}
	was.edited = true
	for _, s := range doc.Sections() {
		was.add(s)
	}
}

// learn remembers the record of a target: an earlier run may have taken it out.
func (f *formerSections) learn(t rekey.Target) {
	if t.RunnerID == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, config := range placeConfigs(t) {
		f.of(config).add(configtoml.Section{Name: t.Name, URL: t.URL, ID: t.RunnerID})
	}
}

func (f *former) add(s configtoml.Section) {
	if !slices.ContainsFunc(f.sections, func(known configtoml.Section) bool { return sameRecord(known, s) }) {
		f.sections = append(f.sections, configtoml.Section{Name: s.Name, URL: s.URL, ID: s.ID})
	}
}

func sameRecord(a, b configtoml.Section) bool { return a.ID == b.ID && a.URL == b.URL }

// besides returns the former sections of a config whose records no section of now
// has. It fails where they are not all known.
func (f *formerSections) besides(config string, now []configtoml.Section) ([]configtoml.Section, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.of(config)
	if was.blind || !was.edited {
		return nil, rekey.Errorf(rekey.KindUnavailable, "whether jobs run is unknown: an earlier run edited the config, and its gitlab-runner may have jobs of what it held before")
	}
	return slices.DeleteFunc(slices.Clone(was.sections), func(s configtoml.Section) bool {
		return slices.ContainsFunc(now, func(n configtoml.Section) bool { return sameRecord(n, s) })
	}), nil
}

// rested forgets former sections: no job of theirs runs, and they get no more.
func (f *formerSections) rested(config string, sections []configtoml.Section) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.of(config)
	was.sections = slices.DeleteFunc(was.sections, func(s configtoml.Section) bool {
		return slices.ContainsFunc(sections, func(r configtoml.Section) bool { return sameRecord(r, s) })
	})
}
