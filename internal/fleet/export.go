package fleet

import (
	"cmp"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
)

// Row is one runner of an owners report: what people wrote down beside what
// GitLab says.
type Row struct {
	ID          rekey.RunnerID `json:"id"`
	Known       string         `json:"known"` // "yes", "gone" or "unknown" to GitLab
	Scope       rekey.Scope    `json:"scope,omitempty"`
	Description string         `json:"description"`
	Status      string         `json:"status,omitempty"`
	Owner       string         `json:"owner"`
	CreatedBy   string         `json:"created_by"`
	CreatedAt   time.Time      `json:"created_at,omitzero"`
	RotatedAt   time.Time      `json:"rotated_at,omitzero"`
	Due         time.Time      `json:"due,omitzero"`
	Overdue     bool           `json:"overdue"`
	ExpiresAt   time.Time      `json:"expires_at,omitzero"`
	Keep        bool           `json:"keep"`
	Note        string         `json:"note,omitempty"`
}

// The values of Row.Known.
const (
	KnownYes     = "yes"
	KnownGone    = "gone"
	KnownUnknown = "unknown"
)

// RowOf joins an entry and a record, either of which may be missing. What GitLab
// says of a record's making goes before what was written down.
func RowOf(e Entry, r *Record, known string, now time.Time) Row {
	row := Row{ID: e.ID, Known: known, Description: e.Description, Owner: e.Owner, CreatedBy: e.CreatedBy, CreatedAt: e.CreatedAt,
		RotatedAt: e.RotatedAt, Due: e.Due, ExpiresAt: e.ExpiresAt, Keep: e.Keep, Note: e.Note}
	row.Overdue = !e.Due.IsZero() && now.After(e.Due) || !e.ExpiresAt.IsZero() && now.After(e.ExpiresAt)
	if r == nil {
		return row
	}
	row.Scope, row.Status, row.Description = r.Runner.Scope, r.Runner.Status, r.Runner.Description
	if r.Runner.Creator != "" {
		row.CreatedBy = r.Runner.Creator
	}
	if !r.Runner.CreatedAt.IsZero() {
		row.CreatedAt = r.Runner.CreatedAt
	}
	return row
}

var csvHead = []string{"id", "known", "scope", "description", "status", "owner", "created_by", "created_at", "rotated_at", "due", "overdue", "expires_at", "keep", "note"}

// WriteCSV writes rows with a head line (RFC 4180). A cell that a spreadsheet
// would take for a formula begins with an apostrophe: descriptions are written
// by whoever may make a runner.
func WriteCSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	_ = out.Write(csvHead)
	for _, r := range rows {
		cells := []string{strconv.FormatInt(int64(r.ID), 10), r.Known, string(r.Scope), r.Description, r.Status, r.Owner, r.CreatedBy, DayText(r.CreatedAt),
			DayText(r.RotatedAt), DayText(r.Due), strconv.FormatBool(r.Overdue), DayText(r.ExpiresAt), strconv.FormatBool(r.Keep), r.Note}
		for i, cell := range cells {
			if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r") {
				cells[i] = "'" + cell
			}
		}
		_ = out.Write(cells)
	}
	out.Flush()
	return out.Error()
}

// SortRows orders rows by id.
func SortRows(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.ID, b.ID) })
}
