package ciconfig

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// maxExtends bounds chains of extends, as GitLab's ten levels and one do.
const maxExtends = 11

// extended merges what a job extends below its own keys, maps deeply.
func extended(raw, values map[string]any, depth int) (map[string]any, error) {
	if depth > maxExtends {
		return nil, failf("extends: nesting too deep")
	}
	merged := map[string]any{}
	for _, name := range words(raw["extends"]) {
		base, isMap := values[name].(map[string]any)
		if !isMap {
			return nil, failf("unknown keys in `extends` (%s)", name)
		}
		base, err := extended(base, values, depth+1)
		if err != nil {
			return nil, err
		}
		merged = deepMerge(merged, base)
	}
	merged = deepMerge(merged, raw)
	delete(merged, "extends")
	return merged, nil
}

func deepMerge(low, high map[string]any) map[string]any {
	merged := maps.Clone(low)
	for key, value := range high {
		lowMap, lowIs := merged[key].(map[string]any)
		highMap, highIs := value.(map[string]any)
		if lowIs && highIs {
			value = deepMerge(lowMap, highMap)
		}
		merged[key] = value
	}
	return merged
}

// withDefaults adds the keys of default: and of the file's top that a job lacks.
func withDefaults(raw, values map[string]any) map[string]any {
	merged := maps.Clone(raw)
	defaults, _ := values["default"].(map[string]any)
	for _, from := range []map[string]any{defaults, values} {
		for _, key := range []string{"image", "before_script", "after_script", "tags", "timeout", "artifacts"} {
			if _, given := merged[key]; given || from[key] == nil {
				continue
			}
			merged[key] = from[key]
		}
	}
	return merged
}

// words reads a string or a list of strings, lists within lists flattened.
func words(raw any) []string {
	switch raw := raw.(type) {
	case nil:
		return nil
	case []any:
		var found []string
		for _, item := range raw {
			found = append(found, words(item)...)
		}
		return found
	}
	return []string{scalar(raw)}
}

func scalar(raw any) string {
	switch raw := raw.(type) {
	case nil:
		return ""
	case string:
		return raw
	case bool:
		return strconv.FormatBool(raw)
	}
	return fmt.Sprint(raw)
}

// variables reads a map of values, or of {value: …} with a description; sorted,
// for YAML maps have no order.
func variables(raw any) []Variable {
	m, _ := raw.(map[string]any)
	var found []Variable
	for _, key := range slices.Sorted(maps.Keys(m)) {
		value := m[key]
		if inner, isMap := value.(map[string]any); isMap {
			value = inner["value"]
		}
		found = append(found, Variable{key, scalar(value)})
	}
	return found
}
