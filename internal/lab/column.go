package lab

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// stamp is a time that may be missing: NULL in the database, null in JSON, else
// GitLab's ISO 8601 in UTC with milliseconds.
type stamp struct{ time.Time }

const stampLayout = "2006-01-02T15:04:05.000Z"

func at(t time.Time) stamp { return stamp{t.UTC().Truncate(time.Millisecond)} }

// Value stores milliseconds since 1970.
func (s stamp) Value() (driver.Value, error) {
	if s.IsZero() {
		return nil, nil
	}
	return s.UnixMilli(), nil
}

// Scan reads what Value wrote.
func (s *stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s = stamp{}
	case int64:
		*s = stamp{time.UnixMilli(v).UTC()}
	default:
		return fmt.Errorf("column holds %T, not a time", src)
	}
	return nil
}

// MarshalJSON writes GitLab's form.
func (s stamp) MarshalJSON() ([]byte, error) {
	if s.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + s.UTC().Format(stampLayout) + `"`), nil
}

// list is a list of words, JSON in the database, never null in JSON.
type list []string

// Value stores a JSON array.
func (l list) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	raw, err := json.Marshal([]string(l))
	return string(raw), err
}

// Scan reads what Value wrote.
func (l *list) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("column holds %T, not a list", src)
	}
	return json.Unmarshal([]byte(text), (*[]string)(l))
}

// MarshalJSON writes [] for none.
func (l list) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(l))
}

// jsonColumn stores any value as JSON.
type jsonColumn[T any] struct{ V T }

// Value stores JSON.
func (c jsonColumn[T]) Value() (driver.Value, error) {
	raw, err := json.Marshal(c.V)
	return string(raw), err
}

// Scan reads what Value wrote.
func (c *jsonColumn[T]) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("column holds %T, not JSON", src)
	}
	return json.Unmarshal([]byte(text), &c.V)
}

// nullable turns 0 into NULL.
func nullable(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}
