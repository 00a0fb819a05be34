package lab

import (
	"maps"
	"net/http"
	"strconv"

	"rekey"
	"rekey/internal/lazyregexp"
)

// flagRow is a feature flag of GitLab that the lab acts on. Other names are kept
// and listed, as GitLab keeps them, and do nothing.
type flagRow struct {
	name   string
	since  rekey.Version
	until  rekey.Version
	on     bool // while nobody set it
	from   provenance
	behave string
	ourOwn bool // a switch of the lab that GitLab does not have
}

const (
	flagAcknowledgement    = "allow_runner_job_acknowledgement"
	flagJobRouter          = "job_router"
	flagJobRouterInstance  = "job_router_instance_runners"
	flagRejectOrphaned     = "reject_orphaned_runners"
	flagCustomPrefix       = "custom_prefix_for_all_token_types"
	flagCreateForAdmin     = "create_runner_workflow_for_admin"
	flagCreateForNamespace = "create_runner_workflow_for_namespace"
	flagOrphanRunners      = "lab_orphan_runners"
	flagNoArtifacts        = "lab_artifacts_disabled"
	flagMigrating          = "lab_migrating_runners"
)

var flagTable = []flagRow{
	{name: flagAcknowledgement, since: v(18, 3), from: fromSource, behave: "two-phase commit of jobs for runners that declare two_phase_job_commit"},
	{name: flagJobRouter, since: v(18, 7), from: fromSource, behave: "GET /runners/router/discovery names a server for group and project runners"},
	{name: flagJobRouterInstance, since: v(18, 7), from: fromSource, behave: "the same for instance runners"},
	{name: flagRejectOrphaned, since: v(17, 8), until: v(19, 0), from: fromSource, behave: "an orphaned runner gets 403, without the flag 422"},
	{name: flagCustomPrefix, since: v(17, 10), on: true, from: unverified, behave: "instance_token_prefix stands before glrt-"},
	// GitLab 15.11 has both off until an administrator asks; a lab is asked for by
	// people who did.
	{name: flagCreateForAdmin, since: v(15, 10), until: v(16, 2), on: true, from: unverified, behave: "POST /user/runners for instance runners, else 403"},
	{name: flagCreateForNamespace, since: v(15, 10), until: v(16, 2), on: true, from: unverified, behave: "POST /user/runners for group and project runners, else 403"},
	{name: flagOrphanRunners, from: unverified, ourOwn: true, behave: "deleting a group or project leaves its runners without an owner"},
	{name: flagNoArtifacts, from: unverified, ourOwn: true, behave: "artifacts are disabled, as gitlab.rb can: uploads get 405"},
	{name: flagMigrating, since: v(17, 0), from: unverified, ourOwn: true, behave: "a migration holds the runner tables: 429 with Retry-After"},
}

// flags is an immutable picture of the feature flags that were set, by name.
type flags map[string]gate

// gate is a flag's stored value: "true", "false", or a percentage.
type gate struct{ key, value string }

func (g gate) on() bool {
	if g.key == "boolean" {
		return g.value == "true"
	}
	return g.value == "100"
}

// flagOn reports whether a feature flag of the table is on in this version;
// false where the version does not know it.
func (s *Server) flagOn(name string) bool {
	for _, row := range flagTable {
		if row.name != name || !within(s.version, row.since, row.until) {
			continue
		}
		if set, given := (*s.cachedFlags.Load())[name]; given {
			return set.on()
		}
		return row.on
	}
	return false
}

func (t *tx) loadFlags() (flags, error) {
	type stored struct {
		name string
		gate
	}
	found, err := rows(t, func(sc scanner) (stored, error) {
		var s stored
		err := sc.Scan(&s.name, &s.key, &s.value)
		return s, err
	}, "SELECT name, gate, value FROM feature_flags")
	all := flags{}
	for _, s := range found {
		all[s.name] = s.gate
	}
	return all, err
}

// flagEntity is a feature flag in API answers.
type flagEntity struct {
	Name       string          `json:"name"`
	State      string          `json:"state"`
	Gates      []gateEntity    `json:"gates"`
	Definition *flagDefinition `json:"definition"`
}

type gateEntity struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

type flagDefinition struct {
	Name           string `json:"name"`
	Type           string `json:"type"`
	DefaultEnabled bool   `json:"default_enabled"`
}

func (s *Server) flagEntity(name string, g gate) flagEntity {
	e := flagEntity{Name: name, State: "off", Gates: []gateEntity{{"boolean", g.key == "boolean" && g.value == "true"}}, Definition: s.flagDefinition(name)}
	if g.key == "boolean" {
		if g.value == "true" {
			e.State = "on"
		}
		return e
	}
	percent, _ := strconv.Atoi(g.value)
	e.State = "conditional"
	e.Gates = append(e.Gates, gateEntity{g.key, percent})
	return e
}

func (s *Server) flagDefinition(name string) *flagDefinition {
	for _, row := range flagTable {
		if row.name == name && !row.ourOwn && within(s.version, row.since, row.until) {
			return &flagDefinition{name, "development", row.on}
		}
	}
	return nil
}

func getFlags(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	set := *c.cachedFlags.Load()
	return ok(each(sortedKeys(set), func(name string) flagEntity { return c.flagEntity(name, set[name]) }))
}

func getFlagDefinitions(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	found := []flagDefinition{}
	for _, row := range flagTable {
		if d := c.flagDefinition(row.name); d != nil {
			found = append(found, *d)
		}
	}
	return ok(found)
}

var (
	setFlagParams = takes(need("value", text), may("key", text, "percentage_of_actors", "percentage_of_time"), may("force", boolean))
	percentage    = lazyregexp.New(`^(100|[1-9]?[0-9])$`)
)

// postFlag is POST /features/:name with true, false or a percentage.
func postFlag(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	name, g := c.vars["name"], gate{"boolean", c.text("value")}
	if percentage.MatchString(g.value) {
		g.key = "percentage_of_time"
		if c.text("key") != "" {
			g.key = c.text("key")
		}
	} else if g.value != "true" {
		g.value = "false"
	}
	if err := c.exec("INSERT INTO feature_flags (name, gate, value) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET gate = excluded.gate, value = excluded.value",
		name, g.key, g.value); err != nil {
		return answer{}, err
	}
	next := maps.Clone(*c.cachedFlags.Load())
	next[name] = g
	c.onCommit(func() { c.cachedFlags.Store(&next); c.queue.tickAll() })
	return answer{status: http.StatusCreated, body: c.flagEntity(name, g)}, nil
}

func deleteFlag(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	if err := c.exec("DELETE FROM feature_flags WHERE name = ?", c.vars["name"]); err != nil {
		return answer{}, err
	}
	next := maps.Clone(*c.cachedFlags.Load())
	delete(next, c.vars["name"])
	c.onCommit(func() { c.cachedFlags.Store(&next); c.queue.tickAll() })
	return noContent()
}
