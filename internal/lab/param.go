package lab

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the type a parameter is coerced to.
type kind int

const (
	text kind = iota
	integer
	boolean
	words // an array, or one string with commas
	hash
	array
	date
	moment // a time of day, ISO 8601
)

// param declares one parameter of a route as GitLab's Grape blocks do.
type param struct {
	name     string
	kind     kind
	required bool
	oneOf    []string
}

func need(name string, k kind, oneOf ...string) param { return param{name, k, true, oneOf} }
func may(name string, k kind, oneOf ...string) param  { return param{name, k, false, oneOf} }

// paramSet is what a route declares; undeclared parameters are ignored.
type paramSet struct {
	params     []param
	exclusive  [][2]string
	atLeastOne bool // of params
}

func takes(params ...param) paramSet { return paramSet{params: params} }

// and returns the set with more parameters.
func (p paramSet) and(params ...param) paramSet {
	p.params = append(slices.Clone(p.params), params...)
	return p
}

// params are validated values: string, int64, bool, []string, map, []any,
// time.Time, or nil for a parameter given as null or blank.
type params map[string]any

// validate coerces values by the set; what is wrong is answered 400 as Grape does.
func (p paramSet) validate(values map[string]any) (params, error) {
	out := params{}
	var wrong []string
	for _, declared := range p.params {
		value, given := values[declared.name]
		if given {
			coerced, fits := coerce(declared.kind, value)
			if !fits {
				wrong = append(wrong, declared.name+" is invalid")
				continue
			}
			out[declared.name] = coerced
		} else if declared.required {
			wrong = append(wrong, declared.name+" is missing")
		}
		if !declared.allows(out[declared.name]) {
			wrong = append(wrong, declared.name+" does not have a valid value")
		}
	}
	wrong = append(wrong, p.groupErrors(out)...)
	if len(wrong) > 0 {
		return nil, grape(http.StatusBadRequest, strings.Join(wrong, ", "))
	}
	return out, nil
}

func (p param) allows(value any) bool {
	if p.oneOf == nil {
		return true
	}
	switch value := value.(type) {
	case string:
		return slices.Contains(p.oneOf, value)
	case []string:
		return !slices.ContainsFunc(value, func(s string) bool { return !slices.Contains(p.oneOf, s) })
	}
	return !p.required // GitLab names a missing enum twice: missing, and without a valid value
}

func (p paramSet) groupErrors(out params) []string {
	var wrong []string
	for _, pair := range p.exclusive {
		if out.given(pair[0]) && out.given(pair[1]) {
			wrong = append(wrong, pair[0]+", "+pair[1]+" are mutually exclusive")
		}
	}
	if p.atLeastOne && len(out) == 0 {
		names := make([]string, len(p.params))
		for i, declared := range p.params {
			names[i] = declared.name
		}
		wrong = append(wrong, atLeastOneText(names))
	}
	return wrong
}

func atLeastOneText(names []string) string {
	return strings.Join(names, ", ") + " are missing, at least one parameter must be provided"
}

func coerce(k kind, value any) (any, bool) {
	if value == nil {
		return nil, true
	}
	switch k {
	case text:
		return coerceText(value)
	case integer:
		return coerceInteger(value)
	case boolean:
		return coerceBoolean(value)
	case words:
		return coerceWords(value)
	case hash:
		object, isObject := value.(map[string]any)
		return object, isObject
	case array:
		items, isArray := value.([]any)
		return items, isArray
	}
	if k == moment {
		return coerceMoment(value)
	}
	return coerceDate(value)
}

// momentLayouts are the forms of ISO 8601 that clients write.
var momentLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05", time.DateOnly}

func coerceMoment(value any) (any, bool) {
	spelled, isText := value.(string)
	if !isText || spelled == "" {
		return nil, isText
	}
	for _, layout := range momentLayouts {
		if t, err := time.Parse(layout, spelled); err == nil {
			return t, true
		}
	}
	return nil, false
}

func coerceText(value any) (any, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case json.Number:
		return value.String(), true
	case bool:
		return strconv.FormatBool(value), true
	}
	return nil, false
}

func coerceInteger(value any) (any, bool) {
	spelled, isText := coerceText(value)
	if _, isBool := value.(bool); !isText || isBool {
		return nil, false
	}
	if spelled == "" {
		return nil, true
	}
	n, err := strconv.ParseInt(spelled.(string), 10, 64)
	return n, err == nil
}

func coerceBoolean(value any) (any, bool) {
	spelled, isText := coerceText(value)
	if !isText {
		return nil, false
	}
	switch strings.ToLower(spelled.(string)) {
	case "true", "t", "1", "on", "yes", "y":
		return true, true
	case "false", "f", "0", "off", "no", "n":
		return false, true
	case "":
		return nil, true
	}
	return nil, false
}

func coerceWords(value any) (any, bool) {
	items, isArray := value.([]any)
	if !isArray {
		items = []any{value}
	}
	found := []string{}
	for _, item := range items {
		spelled, isText := coerceText(item)
		if !isText {
			return nil, false
		}
		for word := range strings.SplitSeq(spelled.(string), ",") {
			if word = strings.TrimSpace(word); word != "" && !slices.Contains(found, word) {
				found = append(found, word)
			}
		}
	}
	return found, true
}

func coerceDate(value any) (any, bool) {
	spelled, isText := value.(string)
	if !isText || spelled == "" {
		return nil, isText
	}
	day, err := time.Parse(time.DateOnly, spelled[:min(len(spelled), len(time.DateOnly))])
	return day, err == nil
}

// given reports whether the parameter was there, be it null.
func (p params) given(name string) bool { _, there := p[name]; return there }

// text returns the string, "" where it is missing or null.
func (p params) text(name string) string { s, _ := p[name].(string); return s }

// number returns the integer and whether one was given.
func (p params) number(name string) (int64, bool) { n, given := p[name].(int64); return n, given }

// flag returns the boolean, or the default where none was given.
func (p params) flag(name string, otherwise bool) bool {
	if b, given := p[name].(bool); given {
		return b
	}
	return otherwise
}

// words returns the list and whether one was given.
func (p params) words(name string) ([]string, bool) { l, given := p[name].([]string); return l, given }

// dropBlank forgets blank values, as POST /runners and POST /user/runners do:
// only what is present, and a literal false, is kept.
func (p params) dropBlank() params {
	for name, value := range p {
		switch value := value.(type) {
		case nil:
			delete(p, name)
		case string:
			if strings.TrimSpace(value) == "" {
				delete(p, name)
			}
		}
	}
	return p
}
