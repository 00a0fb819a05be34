package agent

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// counts are what Metrics tells beside the states.
type counts struct{ delivered, pushed, failed, storeErrors int }

func (a *Agent) count(add func(*counts)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	add(&a.counts)
}

// Health is how everything stands. It holds no token.
type Health struct {
	Healthy  bool              `json:"healthy"`
	Why      string            `json:"why,omitempty"` // where the loop itself hangs
	Next     string            `json:"next,omitempty"`
	Store    string            `json:"store"`
	LastPass time.Time         `json:"last_pass,omitzero"`
	Sections []SectionHealth   `json:"sections"`
	Missing  []string          `json:"missing,omitempty"` // sections that were asked for and are in no config
	Configs  map[string]string `json:"configs,omitempty"` // that cannot be read, and why
}

// SectionHealth is how one section stands.
type SectionHealth struct {
	Config string    `json:"config"`
	Name   string    `json:"name"`
	Ref    string    `json:"ref"`
	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Why    string    `json:"why,omitempty"`
	Next   string    `json:"next,omitempty"`
}

// patience is for how long something may be wrong before the agent calls itself
// unhealthy.
func (a *Agent) patience() time.Duration { return 3 * a.opts.Interval }

// Health may be called at any time.
func (a *Agent) Health() Health {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opts.Now()
	h := Health{Healthy: true, Store: a.opts.Pattern.String(), LastPass: a.passed.UTC(), Sections: []SectionHealth{}}
	if a.passed.IsZero() {
		h.LastPass = time.Time{}
	}
	for _, t := range a.tracks {
		h.Sections = append(h.Sections, SectionHealth{Config: t.Config, Name: t.Name, Ref: t.ref.String(), State: t.state, Since: t.since.UTC().Truncate(time.Second), Why: t.why, Next: t.next})
		if t.state != Stepped && now.Sub(t.since) > a.patience() {
			h.Healthy = false
		}
	}
	for path, why := range a.trouble {
		if h.Configs == nil {
			h.Configs = map[string]string{}
		}
		h.Configs[path] = why
		h.Healthy = h.Healthy && now.Sub(a.began) <= a.patience()
	}
	if len(a.missing) > 0 {
		h.Missing = slices.Sorted(maps.Keys(a.missing))
		h.Healthy = h.Healthy && !a.longMissing(now)
	}
	if what, is := a.hanging(now); what != "" {
		h.Healthy, h.Why = false, fmt.Sprintf("it has been %s for %s", what, is.Truncate(time.Second))
		h.Next = "see whether what it waits for answers; a restart goes on where it was"
	}
	return h
}

// Summary is one line for a status display.
func (a *Agent) Summary() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	in := a.inStates()
	text := fmt.Sprintf("%d of %d sections in step", in[Stepped], len(a.tracks))
	if in[Degraded] > 0 {
		text += fmt.Sprintf(", the store is away for %d", in[Degraded])
	}
	if in[Behind] > 0 {
		text += fmt.Sprintf(", %d behind", in[Behind])
	}
	if len(a.missing) > 0 {
		text += fmt.Sprintf(", %d nowhere", len(a.missing))
	}
	return text
}

func (a *Agent) inStates() map[State]int {
	in := map[State]int{}
	for _, t := range a.tracks {
		in[t.state]++
	}
	return in
}

// Metrics writes Prometheus text.
func (a *Agent) Metrics(w io.Writer) error {
	a.mu.Lock()
	var b strings.Builder
	in := a.inStates()
	head(&b, "rekey_agent_sections", "gauge", "Sections by state.")
	for _, s := range []State{Starting, Stepped, Behind, Degraded} {
		fmt.Fprintf(&b, "rekey_agent_sections{state=%q} %d\n", string(s), in[s])
	}
	head(&b, "rekey_agent_section_in_step", "gauge", "1 where config and store hold the same token.")
	for _, t := range a.tracks {
		fmt.Fprintf(&b, "rekey_agent_section_in_step{config=%s,section=%s} %d\n", label(t.Config), label(t.Name), one(t.state == Stepped))
	}
	head(&b, "rekey_agent_section_state_since_seconds", "gauge", "When the section came into its state, Unix time.")
	for _, t := range a.tracks {
		fmt.Fprintf(&b, "rekey_agent_section_state_since_seconds{config=%s,section=%s} %d\n", label(t.Config), label(t.Name), t.since.Unix())
	}
	for _, c := range []struct {
		name, help string
		n          int
	}{
		{"rekey_agent_delivered_total", "Tokens brought from the store into a config.", a.counts.delivered},
		{"rekey_agent_pushed_total", "Tokens brought from a config into the store.", a.counts.pushed},
		{"rekey_agent_failures_total", "Deliveries and writes that failed.", a.counts.failed},
		{"rekey_agent_store_errors_total", "Looks at a secret that failed.", a.counts.storeErrors},
	} {
		head(&b, c.name, "counter", c.help)
		fmt.Fprintf(&b, "%s %d\n", c.name, c.n)
	}
	head(&b, "rekey_agent_sections_missing", "gauge", "Sections that were asked for and are in no config.")
	fmt.Fprintf(&b, "rekey_agent_sections_missing %d\n", len(a.missing))
	head(&b, "rekey_agent_configs_unreadable", "gauge", "Configs that cannot be read.")
	fmt.Fprintf(&b, "rekey_agent_configs_unreadable %d\n", len(a.trouble))
	if !a.passed.IsZero() {
		head(&b, "rekey_agent_last_pass_timestamp_seconds", "gauge", "End of the last look, Unix time.")
		fmt.Fprintf(&b, "rekey_agent_last_pass_timestamp_seconds %d\n", a.passed.Unix())
	}
	a.mu.Unlock()
	_, err := io.WriteString(w, b.String())
	return err
}

func head(b *strings.Builder, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// label quotes as the text format wants it.
func label(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
