package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rekey"
)

// lookFor compares the sections that were asked for with those that there are, and
// tells what changed. While a config cannot be read, nobody knows what is in it.
func (a *Agent) lookFor() {
	found := map[string]bool{}
	for _, t := range a.tracks {
		found[t.Name] = true
	}
	for _, name := range a.opts.Sections {
		_, was := a.missing[name]
		switch {
		case found[name] && was:
			a.miss(name, false)
			a.tellMissing(fmt.Sprintf("there is a section named %q now", name), "")
		case !found[name] && !was && len(a.trouble) == 0:
			a.miss(name, true)
			a.tellMissing(fmt.Sprintf("no section is named %q; it is looked after once there is one", name), a.listing())
		}
	}
}

func (a *Agent) miss(name string, is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if delete(a.missing, name); is {
		a.missing[name] = a.opts.Now()
	}
}

func (a *Agent) tellMissing(text, next string) {
	if !a.once { // its end tells
		a.ports.Report(Event{Kind: EventConfig, Text: strings.Join(a.opts.Configs, ", ") + ": " + text, Next: next})
	}
}

func (a *Agent) listing() string {
	return "`rekey doctor --config " + a.opts.Configs[len(a.opts.Configs)-1] + "` lists the sections"
}

// nowhere is the end of Once where a section is in no config.
func (a *Agent) nowhere() error {
	if len(a.missing) == 0 {
		return nil
	}
	return rekey.Errorf(rekey.KindNotFound, "no section is named %s in %s", quoted(slices.Sorted(maps.Keys(a.missing))), strings.Join(a.opts.Configs, ", ")).
		WithHint("%s", a.listing())
}

// longMissing reports whether one has been for longer than is patient. The caller
// holds mu.
func (a *Agent) longMissing(now time.Time) bool {
	for _, since := range a.missing {
		if now.Sub(since) > a.patience() {
			return true
		}
	}
	return false
}

func quoted(names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%q", name))
	}
	return strings.Join(all, ", ")
}
