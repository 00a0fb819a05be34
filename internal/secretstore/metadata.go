package secretstore

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"rekey"
)

// Metadata is what is kept beside a token. Zero fields are not known.
type Metadata struct {
	RunnerID  rekey.RunnerID
	Owner     string
	RotatedAt time.Time
	NextDue   time.Time
}

// IsZero reports whether nothing is known.
func (m Metadata) IsZero() bool { return m == Metadata{} }

// Over returns m with what it does not know taken from old: an owner stays when a
// token is rotated. A due date is the token's and does not: what says when its token
// was rotated says when that is due, or that nothing is known of it.
func (m Metadata) Over(old Metadata) Metadata {
	if m.RunnerID == 0 {
		m.RunnerID = old.RunnerID
	}
	if m.Owner == "" {
		m.Owner = old.Owner
	}
	if m.RotatedAt.IsZero() {
		m.RotatedAt = old.RotatedAt
		if m.NextDue.IsZero() {
			m.NextDue = old.NextDue
		}
	}
	return m
}

// The names under which the fields are kept, by stores that keep them one by one.
const (
	fieldRunner  = "runner_id"
	fieldOwner   = "owner"
	fieldRotated = "rotated_at"
	fieldDue     = "next_due"
)

// Fields returns what is known as texts; times are RFC 3339 in UTC, to the second.
func (m Metadata) Fields() map[string]string {
	fields := map[string]string{}
	if m.RunnerID != 0 {
		fields[fieldRunner] = strconv.FormatInt(int64(m.RunnerID), 10)
	}
	if m.Owner != "" {
		fields[fieldOwner] = m.Owner
	}
	for name, at := range map[string]time.Time{fieldRotated: m.RotatedAt, fieldDue: m.NextDue} {
		if !at.IsZero() {
			fields[name] = at.UTC().Format(time.RFC3339)
		}
	}
	return fields
}

// FieldsMetadata reads what Fields made; what cannot be read is not known.
func FieldsMetadata(fields map[string]string) Metadata {
	id, _ := strconv.ParseInt(fields[fieldRunner], 10, 64)
	rotated, _ := time.Parse(time.RFC3339, fields[fieldRotated])
	due, _ := time.Parse(time.RFC3339, fields[fieldDue])
	return Metadata{RunnerID: rekey.RunnerID(id), Owner: fields[fieldOwner], RotatedAt: rotated, NextDue: due}
}

// Text is Fields as one line of JSON, "" when nothing is known.
func (m Metadata) Text() string {
	if m.IsZero() {
		return ""
	}
	data, err := json.Marshal(m.Fields())
	if err != nil {
		return ""
	}
	return string(data)
}

// ParseMetadata reads what Text made. Anything else is nothing known: a person may
// have written into the field.
func ParseMetadata(text string) Metadata {
	var fields map[string]string
	if !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &fields) != nil {
		return Metadata{}
	}
	return FieldsMetadata(fields)
}

// Beside is the name of the field next to the token's own in which stores of named
// fields keep Text: written in one act with the token, and versioned with it.
func Beside(key string) string { return key + "_rekey" }
