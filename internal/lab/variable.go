package lab

import (
	"database/sql"
	"errors"
	"net/http"
	"slices"

	"rekey/internal/lazyregexp"
)

// ciVariable is a CI/CD variable of a project, a group or the instance.
type ciVariable struct {
	id          int64
	Type        string  `json:"variable_type"`
	Key         string  `json:"key"`
	Value       *string `json:"value"` // null where hidden
	Hidden      *bool   `json:"hidden,omitempty"`
	Protected   bool    `json:"protected"`
	Masked      bool    `json:"masked"`
	Raw         bool    `json:"raw"`
	Scope       string  `json:"environment_scope,omitempty"`
	Description *string `json:"description,omitempty"`
	hidden      bool
	text        string
	updatedAt   stamp
}

// The owners of variables; the instance has the id 0.
const (
	variablesOfProject  = "project"
	variablesOfGroup    = "group"
	variablesOfInstance = "instance"
)

const variableColumns = "id, variable_type, key, value_sealed, hidden, protected, masked, raw, environment_scope, description, updated_at"

// scanVariable opens the value; one sealed with secrets that are lost is empty.
func (t *tx) scanVariable(sc scanner) (ciVariable, error) {
	var v ciVariable
	var box []byte
	err := sc.Scan(&v.id, &v.Type, &v.Key, &box, &v.hidden, &v.Protected, &v.Masked, &v.Raw, &v.Scope, &v.Description, &v.updatedAt)
	if plain, openErr := t.secrets.opened(box); openErr == nil {
		v.text = plain
	}
	return v, err
}

// variableEntity is the variable as this version shows it.
func (c *call) variableEntity(v ciVariable) ciVariable {
	if !v.hidden {
		v.Value = &v.text
	}
	if c.Server.has(hiddenVariables) {
		v.Hidden = &v.hidden
	}
	if !c.Server.has(variableDescription) {
		v.Description = nil
	}
	return v
}

// variableSource is the owner of the variables that a route names, and checks the
// caller's role there.
func (c *call) variableSource(kind string) (int64, error) {
	switch kind {
	case variablesOfProject:
		p, err := c.needProject("id", levelMaintainer)
		return p.ID, err
	case variablesOfGroup:
		g, err := c.needGroup("id", levelOwner)
		return g.ID, err
	}
	if !c.admin() {
		return 0, forbidden("")
	}
	return 0, nil
}

func listVariables(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		source, err := c.variableSource(kind)
		if err != nil {
			return answer{}, err
		}
		found, err := page(c, c.scanVariable, variableColumns, "variables WHERE source_kind = ? AND source_id = ?", "id", kind, source)
		if err != nil {
			return answer{}, err
		}
		return ok(each(found, c.variableEntity))
	}
}

// findVariable finds the one of the path; where several scopes have the key,
// filter[environment_scope] must say which.
func (c *call) findVariable(kind string) (ciVariable, error) {
	source, err := c.variableSource(kind)
	if err != nil {
		return ciVariable{}, err
	}
	where, args := "source_kind = ? AND source_id = ? AND key = ?", []any{kind, source, c.vars["key"]}
	filter, _ := c.params["filter"].(map[string]any)
	if scope, given := filter["environment_scope"].(string); given {
		where, args = where+" AND environment_scope = ?", append(args, scope)
	}
	found, err := rows(c.tx, c.scanVariable, "SELECT "+variableColumns+" FROM variables WHERE "+where, args...)
	switch {
	case err != nil:
		return ciVariable{}, err
	case len(found) == 0:
		return ciVariable{}, notFound("Variable")
	case len(found) > 1:
		return ciVariable{}, message(http.StatusConflict, "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'")
	}
	return found[0], nil
}

func getVariable(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		v, err := c.findVariable(kind)
		if err != nil {
			return answer{}, err
		}
		return ok(c.variableEntity(v))
	}
}

func variableParams(change bool) paramSet {
	set := takes(may("protected", boolean), may("masked", boolean), may("raw", boolean), may("variable_type", text, "env_var", "file"),
		may("environment_scope", text), may("description", text))
	if change {
		return set.and(may("value", text), may("filter", hash))
	}
	return set.and(need("key", text), need("value", text), may("masked_and_hidden", boolean))
}

// edit takes the attributes given.
func (v *ciVariable) edit(c *call) {
	if c.given("value") {
		v.text = c.text("value")
	}
	v.Protected, v.Masked, v.Raw = c.flag("protected", v.Protected), c.flag("masked", v.Masked), c.flag("raw", v.Raw)
	if kind := c.text("variable_type"); kind != "" {
		v.Type = kind
	}
	if scope := c.text("environment_scope"); scope != "" {
		v.Scope = scope
	}
	if c.given("description") {
		said := c.text("description")
		v.Description = &said
	}
}

var (
	variableKey   = lazyregexp.New(`^[A-Za-z0-9_]+$`)
	maskable      = lazyregexp.New(`^[A-Za-z0-9_+=/@:.~-]{8,}$`)
	maskableAsRaw = lazyregexp.New(`^\S{8,}$`)
)

// check is the model's validation.
func (v *ciVariable) check() error {
	fits := maskable
	if v.Raw {
		fits = maskableAsRaw
	}
	switch {
	case v.Key == "":
		return modelErrors("key", "can't be blank", "can contain only letters, digits and '_'.")
	case !variableKey.MatchString(v.Key):
		return modelErrors("key", "can contain only letters, digits and '_'.")
	case len(v.Key) > 255:
		return modelErrors("key", "is too long (maximum is 255 characters)")
	case v.Masked && !fits.MatchString(v.text):
		return modelErrors("value", "is invalid")
	}
	return nil
}

func postVariable(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		source, err := c.variableSource(kind)
		if err != nil {
			return answer{}, err
		}
		v := ciVariable{Key: c.text("key"), Type: "env_var", Scope: "*"}
		v.edit(c)
		if c.flag("masked_and_hidden", false) && c.Server.has(hiddenVariables) {
			v.Masked, v.hidden = true, true
		}
		if err := c.storeVariable(kind, source, &v); err != nil {
			return answer{}, err
		}
		return created(c.variableEntity(v))
	}
}

func putVariable(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		v, err := c.findVariable(kind)
		if err != nil {
			return answer{}, err
		}
		v.edit(c)
		v.Masked = v.Masked || v.hidden // what is hidden stays masked
		source, err := c.variableSource(kind)
		if err != nil {
			return answer{}, err
		}
		if err := c.storeVariable(kind, source, &v); err != nil {
			return answer{}, err
		}
		return ok(c.variableEntity(v))
	}
}

// storeVariable writes a new variable or a changed one. The instance's have no
// environments.
func (c *call) storeVariable(kind string, source int64, v *ciVariable) error {
	if err := v.check(); err != nil {
		return err
	}
	taken, err := c.exists("SELECT 1 FROM variables WHERE source_kind = ? AND source_id = ? AND key = ? AND environment_scope = ? AND id != ?", kind, source, v.Key, v.Scope, v.id)
	if err != nil {
		return err
	}
	if taken {
		return modelErrors("key", "("+v.Key+") has already been taken")
	}
	args := []any{kind, source, v.Key, c.secrets.sealed(v.text), v.Type, v.Protected, v.Masked, v.hidden, v.Raw, v.Scope, v.Description, at(c.now)}
	if v.id != 0 {
		return c.exec(`UPDATE variables SET source_kind = ?, source_id = ?, key = ?, value_sealed = ?, variable_type = ?, protected = ?, masked = ?, hidden = ?,
			raw = ?, environment_scope = ?, description = ?, updated_at = ? WHERE id = ?`, append(args, v.id)...)
	}
	v.id, err = c.insert(`INSERT INTO variables (source_kind, source_id, key, value_sealed, variable_type, protected, masked, hidden, raw, environment_scope,
		description, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
	return err
}

func deleteVariable(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		v, err := c.findVariable(kind)
		if err != nil {
			return answer{}, err
		}
		if err := c.preconditionFailed(v.updatedAt); err != nil {
			return answer{}, err
		}
		if err := c.exec("DELETE FROM variables WHERE id = ?", v.id); err != nil {
			return answer{}, err
		}
		return noContent()
	}
}

// variablesFor lists what a job of the project gets, lowest precedence first: the
// instance's, its groups' from the root down, its own. Protected ones are for
// protected refs; the lab has no environments, so that only the scope * counts.
func (t *tx) variablesFor(p *project, protected bool) ([]ciVariable, error) {
	up, err := t.ancestry(p.NamespaceID)
	if err != nil {
		return nil, err
	}
	slices.Reverse(up)
	all, err := t.variablesOf(variablesOfInstance, 0, protected)
	for _, n := range up {
		of, ofErr := t.variablesOf(variablesOfGroup, n.ID, protected)
		all, err = append(all, of...), errors.Join(err, ofErr)
	}
	own, ownErr := t.variablesOf(variablesOfProject, p.ID, protected)
	return append(all, own...), errors.Join(err, ownErr)
}

func (t *tx) variablesOf(kind string, source int64, protected bool) ([]ciVariable, error) {
	found, err := rows(t, t.scanVariable, "SELECT "+variableColumns+` FROM variables
		WHERE source_kind = ? AND source_id = ? AND environment_scope = '*' AND (? OR NOT protected) ORDER BY id`, kind, source, protected)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return found, err
}

func variableRoutes() []route {
	var all []route
	filter := takes(may("filter", hash))
	for _, of := range [][2]string{{variablesOfProject, "projects/:id/variables"}, {variablesOfGroup, "groups/:id/variables"}, {variablesOfInstance, "admin/ci/variables"}} {
		kind, base := of[0], of[1]
		all = append(all,
			route{method: get, pattern: base, from: fromDocumentation, handle: listVariables(kind)},
			route{method: post, pattern: base, from: fromDocumentation, params: variableParams(false), handle: postVariable(kind)},
			route{method: get, pattern: base + "/:key", from: fromDocumentation, params: filter, handle: getVariable(kind)},
			route{method: put, pattern: base + "/:key", from: fromDocumentation, params: variableParams(true), handle: putVariable(kind)},
			route{method: del, pattern: base + "/:key", from: fromDocumentation, params: filter, handle: deleteVariable(kind)})
	}
	return all
}
