package lab

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"rekey"
)

// settingRow is one key of GET and PUT /application/settings.
type settingRow struct {
	key      string
	since    rekey.Version
	kind     kind
	initial  any // string, int64, bool, []string or nil
	oneOf    []string
	least    int64 // smallest integer allowed
	from     provenance
	nullable bool
}

var settingTable = []settingRow{
	{key: "allow_runner_registration_token", kind: boolean, initial: true, from: fromSource},
	{key: "valid_runner_registrars", kind: words, initial: []string{"project", "group"}, oneOf: []string{"project", "group"}, from: fromSource},
	{key: "runner_token_expiration_interval", kind: integer, nullable: true, least: 7200, from: fromSource},
	{key: "group_runner_token_expiration_interval", kind: integer, nullable: true, least: 7200, from: fromSource},
	{key: "project_runner_token_expiration_interval", kind: integer, nullable: true, least: 7200, from: fromSource},
	{key: "runner_jobs_request_api_limit", since: v(18, 5), kind: integer, initial: int64(2000), from: fromSource},
	{key: "runner_jobs_patch_trace_api_limit", since: v(18, 5), kind: integer, initial: int64(2000), from: fromDocumentation},
	{key: "runner_jobs_endpoints_api_limit", since: v(18, 5), kind: integer, initial: int64(200), from: fromSource},
	{key: limitProjectJobs, since: v(16, 5), kind: integer, initial: int64(600), from: fromDocumentation},
	{key: "ci_job_live_trace_enabled", since: v(17, 11), kind: boolean, initial: false, from: fromDocumentation},
	{key: "update_runner_versions_enabled", kind: boolean, initial: true, from: fromDocumentation},
	{key: "max_artifacts_size", kind: integer, initial: int64(100), least: 1, from: fromDocumentation},
	{key: "shared_runners_enabled", kind: boolean, initial: true, from: fromDocumentation},
	{key: "instance_token_prefix", since: v(17, 10), kind: text, initial: "", from: fromSource},
	{key: "admin_mode", kind: boolean, initial: false, from: fromDocumentation},
	{key: "maintenance_mode", kind: boolean, initial: false, from: fromDocumentation},
	{key: "maintenance_mode_message", kind: text, initial: "", from: fromDocumentation},
	{key: "default_project_visibility", kind: text, initial: "private", oneOf: visibilities, from: fromDocumentation},
	{key: "default_group_visibility", kind: text, initial: "private", oneOf: visibilities, from: fromDocumentation},
	{key: "require_personal_access_token_expiry", since: v(17, 3), kind: boolean, initial: true, from: fromDocumentation},
	{key: "throttle_unauthenticated_api_enabled", kind: boolean, initial: false, from: fromDocumentation},
	{key: "throttle_unauthenticated_api_requests_per_period", kind: integer, initial: int64(3600), least: 1, from: fromDocumentation},
	{key: "throttle_unauthenticated_api_period_in_seconds", kind: integer, initial: int64(3600), least: 1, from: fromDocumentation},
	{key: "throttle_authenticated_api_enabled", kind: boolean, initial: false, from: fromDocumentation},
	{key: "throttle_authenticated_api_requests_per_period", kind: integer, initial: int64(7200), least: 1, from: fromDocumentation},
	{key: "throttle_authenticated_api_period_in_seconds", kind: integer, initial: int64(3600), least: 1, from: fromDocumentation},
	{key: "rate_limiting_response_text", kind: text, nullable: true, from: fromDocumentation},
	{key: "signup_enabled", kind: boolean, initial: false, from: fromDocumentation},
}

// settings is an immutable picture of the application settings, held in memory
// so that an idle poll reads no database.
type settings struct{ values map[string]any }

func (s *settings) flag(key string) bool { b, _ := s.values[key].(bool); return b }

func (s *settings) text(key string) string { t, _ := s.values[key].(string); return t }

func (s *settings) words(key string) []string { l, _ := s.values[key].([]string); return l }

// number returns the integer and whether one is set.
func (s *settings) number(key string) (int64, bool) { n, set := s.values[key].(int64); return n, set }

// loadSettings reads stored values over the table's initial ones.
func (t *tx) loadSettings() (*settings, error) {
	found := &settings{map[string]any{}}
	for _, r := range settingTable {
		found.values[r.key] = r.initial
	}
	stored, err := rows(t, func(sc scanner) ([2]string, error) {
		var kv [2]string
		err := sc.Scan(&kv[0], &kv[1])
		return kv, err
	}, "SELECT key, value FROM settings")
	if err != nil {
		return nil, err
	}
	for _, kv := range stored {
		if i := slices.IndexFunc(settingTable, func(r settingRow) bool { return r.key == kv[0] }); i >= 0 {
			found.values[kv[0]] = decodeSetting(settingTable[i].kind, kv[1])
		}
	}
	return found, nil
}

func decodeSetting(k kind, raw string) any {
	if raw == "null" {
		return nil
	}
	var err error
	switch k {
	case boolean:
		var b bool
		err = json.Unmarshal([]byte(raw), &b)
		return mustDecode(b, err)
	case integer:
		var n int64
		err = json.Unmarshal([]byte(raw), &n)
		return mustDecode(n, err)
	case words:
		var l []string
		err = json.Unmarshal([]byte(raw), &l)
		return mustDecode(l, err)
	}
	var s string
	err = json.Unmarshal([]byte(raw), &s)
	return mustDecode(s, err)
}

func mustDecode[T any](value T, err error) any {
	if err != nil {
		return nil
	}
	return value
}

func (t *tx) storeSetting(key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return t.exec("INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, string(raw))
}

// settingsBody is what GET and PUT answer: every key of this version.
func (s *Server) settingsBody(values map[string]any) map[string]any {
	body := map[string]any{"id": 1}
	for _, r := range settingTable {
		if within(s.version, r.since, never) {
			body[r.key] = values[r.key]
		}
	}
	return body
}

func getSettings(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	return ok(c.settingsBody(c.settings().values))
}

func putSettings(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	if err := c.checkSettings(); err != nil {
		return answer{}, err
	}
	values := maps.Clone(c.settings().values)
	for key, value := range c.params {
		if key == "runners_registration_token" {
			if err := c.storeInstanceToken(c.text(key)); err != nil {
				return answer{}, err
			}
			continue
		}
		if key == "valid_runner_registrars" {
			after, _ := c.words(key)
			if err := c.rotateUnregistered(c.settings().words(key), after); err != nil {
				return answer{}, err
			}
		}
		values[key] = value
		if err := c.storeSetting(key, value); err != nil {
			return answer{}, err
		}
	}
	if err := c.audit(auditSettingsChanged, "Gitlab::Audit::InstanceScope", 1, "Changed application settings", "ApplicationSetting", 1); err != nil {
		return answer{}, err
	}
	next := &settings{values}
	c.onCommit(func() { c.cachedSettings.Store(next); c.queue.tickAll() })
	return ok(c.settingsBody(values))
}

func (c *call) checkSettings() error {
	wrong := map[string][]string{}
	for _, r := range settingTable {
		value, given := c.params[r.key]
		if !given {
			continue
		}
		if n, isNumber := value.(int64); isNumber && n < r.least {
			wrong[r.key] = []string{"must be greater than or equal to " + formatInt(r.least)}
		}
		if value == nil && !r.nullable {
			delete(c.params, r.key)
		}
	}
	if len(wrong) > 0 {
		return &refusal{status: http.StatusBadRequest, body: messageBody{wrong}}
	}
	return nil
}

// settingParams declares every key of every version; a key that this version
// does not have is ignored like any unknown parameter.
func settingParams(version rekey.Version) paramSet {
	set := paramSet{params: []param{may("runners_registration_token", text)}}
	for _, r := range settingTable {
		if within(version, r.since, never) {
			set.params = append(set.params, may(r.key, r.kind, r.oneOf...))
		}
	}
	return set
}
