package lab

import (
	"slices"
	"strings"
)

// maxDepth bounds nested form keys, as Rack does.
const maxDepth = 16

// nest turns form values into nested parameters by Rack's rules: a[] appends, a[b]
// sets a key, a[][b] starts a new object when its last one has b already.
func nest(form map[string][]string) map[string]any {
	root := map[string]any{}
	keys := make([]string, 0, len(form))
	for key := range form {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		name, path := splitKey(key)
		for _, value := range form[key] {
			root[name] = place(root[name], path, value)
		}
	}
	return root
}

// splitKey cuts a[b][] into a and [b, ""].
func splitKey(key string) (string, []string) {
	open := strings.IndexByte(key, '[')
	if open <= 0 || !strings.HasSuffix(key, "]") {
		return key, nil
	}
	path := strings.Split(key[open+1:len(key)-1], "][")
	if len(path) > maxDepth {
		return key, nil
	}
	return key[:open], path
}

func place(old any, path []string, value string) any {
	switch {
	case len(path) == 0:
		return value
	case path[0] != "":
		object, isObject := old.(map[string]any)
		if !isObject {
			object = map[string]any{}
		}
		object[path[0]] = place(object[path[0]], path[1:], value)
		return object
	case len(path) == 1:
		items, _ := old.([]any)
		return append(items, value)
	}
	return placeInList(old, path[1:], value)
}

func placeInList(old any, path []string, value string) any {
	items, _ := old.([]any)
	if n := len(items); n > 0 {
		// variables[][key]=A&variables[][value]=1: keys arrive sorted, all values of
		// one key after another, so the first object that lacks the key takes it.
		for _, item := range items {
			object, isObject := item.(map[string]any)
			if _, taken := object[path[0]]; isObject && !taken {
				object[path[0]] = place(nil, path[1:], value)
				return items
			}
		}
	}
	return append(items, map[string]any{path[0]: place(nil, path[1:], value)})
}
