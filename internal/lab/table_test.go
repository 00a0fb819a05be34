package lab

import (
	"slices"
	"testing"

	"rekey"
)

// TestEveryRowSaysWhereItIsKnownFrom: a fact about GitLab without a source is a
// guess.
func TestEveryRowSaysWhereItIsKnownFrom(t *testing.T) {
	t.Parallel()
	known := []provenance{fromSource, fromSpecification, fromDocumentation, fromRunner, unverified}
	check := func(row string, from provenance) {
		t.Helper()
		if !slices.Contains(known, from) {
			t.Errorf("%s: from %q, want one of %q", row, from, known)
		}
	}
	for _, r := range features {
		check("feature "+string(r.id), r.from)
	}
	for _, r := range shapes {
		check("shape of "+r.registrationType+" from "+r.since.String(), r.from)
	}
	for _, r := range scopeTable {
		check("scope "+r.name, r.from)
	}
	for _, r := range settingTable {
		check("setting "+r.key, r.from)
	}
	for _, r := range flagTable {
		check("flag "+r.name, r.from)
	}
	for _, r := range limitTable {
		check("limit "+r.name, r.from)
	}
	for _, r := range routeTable(v(19, 3)) {
		check("route "+r.id(), r.from)
	}
}

// TestRowsAreUnique: a second row for the same thing would never be read.
func TestRowsAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	once := func(row string) {
		t.Helper()
		if seen[row] {
			t.Errorf("%s has two rows", row)
		}
		seen[row] = true
	}
	for _, r := range features {
		once("feature " + string(r.id))
	}
	for _, r := range settingTable {
		once("setting " + r.key)
	}
	for _, r := range flagTable {
		once("flag " + r.name)
	}
	for _, r := range limitTable {
		once("limit " + r.name)
	}
	for _, r := range routeTable(v(19, 3)) {
		once("route " + r.id())
	}
}

// TestRoutesByVersion: what came later is unknown before.
func TestRoutesByVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path  string
		before, since rekey.Version
	}{
		{get, "runners/1/managers", v(17, 0), v(17, 1)},
		{get, "runners/1/projects", v(17, 11), v(18, 0)},
		{get, "runners/router/discovery", v(18, 6), v(18, 7)},
	} {
		if rt, _, _ := newRouter(routeTable(c.before), c.before).find(c.method, c.path); rt != nil {
			t.Errorf("%s at %s: found %s, want none", c.path, c.before, rt.id())
		}
		if rt, _, _ := newRouter(routeTable(c.since), c.since).find(c.method, c.path); rt == nil {
			t.Errorf("%s at %s: not found", c.path, c.since)
		}
	}
}

// TestNest reads Rack's nested keys.
func TestNest(t *testing.T) {
	t.Parallel()
	got := nest(map[string][]string{"a": {"1"}, "b[]": {"x", "y"}, "c[d]": {"2"}, "v[][key]": {"K", "L"}, "v[][value]": {"1", "2"}, "odd[": {"z"}})
	list, _ := got["v"].([]any)
	if len(list) != 2 {
		t.Fatalf("v: got %v, want two objects", got["v"])
	}
	second, _ := list[1].(map[string]any)
	if second["key"] != "L" || second["value"] != "2" || got["odd["] != "z" || len(got["b"].([]any)) != 2 { //nolint:forcetypeassert // the test fails either way
		t.Errorf("nested: got %v", got)
	}
}
