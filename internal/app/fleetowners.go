package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"rekey"
	"rekey/internal/durable"
	fleets "rekey/internal/fleet" // package app has a type fleet
	"rekey/internal/gitlab"
)

// ownersFile is the path of an owners file.
type ownersFile struct {
	path  string
	named bool // by the operator: then it must exist to be read
}

func ownersPath(given string) ownersFile {
	if given == "" {
		return ownersFile{path: fleets.LedgerFile}
	}
	return ownersFile{path: given, named: true}
}

// read returns nil where there is no file and none was named. A file of another
// GitLab is refused: its ids mean other runners. gitlab is "" where none is known.
func (o ownersFile) read(gitlabURL string) (*fleets.Ledger, error) {
	data, err := o.bytes()
	if data == nil || err != nil {
		if err == nil && o.named {
			err = rekey.Errorf(rekey.KindInvalid, "there is no owners file %s", o.path).WithHint("`rekey runner owner set ID --to NAME --owners %s` begins one", o.path)
		}
		return nil, err
	}
	return o.parse(data, gitlabURL)
}

func (o ownersFile) parse(data []byte, gitlabURL string) (*fleets.Ledger, error) {
	l, err := fleets.ParseLedger(data)
	if err != nil {
		e := rekey.Errorf(rekey.KindInvalid, "%s: %w", o.path, err)
		return nil, e.WithHint("%s", rekey.HintOf(err))
	}
	if gitlabURL != "" && l.GitLab != "" && !gitlab.SameGitLab(l.GitLab, gitlabURL) {
		return nil, rekey.Errorf(rekey.KindConflict, "%s is about %s, not %s: the same id is another runner there", o.path, l.GitLab, gitlabURL).
			WithHint("name the owners file of this GitLab with --owners, or the other GitLab with --url")
	}
	return l, nil
}

// bytes returns nil for a file that is not there.
func (o ownersFile) bytes() ([]byte, error) {
	info, err := os.Stat(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, rekey.Errorf(rekey.KindInvalid, "the owners file cannot be read: %w", err)
	case !info.Mode().IsRegular():
		return nil, rekey.Errorf(rekey.KindInvalid, "the owners file %s is no regular file", o.path)
	case info.Size() > 64<<20:
		return nil, rekey.Errorf(rekey.KindInvalid, "the owners file %s is larger than 64 MiB", o.path)
	}
	data, err := os.ReadFile(o.path)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the owners file cannot be read: %w", err)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// change reads, edits and replaces the file; somebody else's change meanwhile is
// KindConflict, and stays.
func (o ownersFile) change(gitlabURL string, edit func(*fleets.Ledger) error) error {
	before, err := o.bytes()
	if err != nil {
		return err
	}
	l := fleets.NewLedger(gitlabURL)
	if before != nil {
		if l, err = o.parse(before, gitlabURL); err != nil {
			return err
		}
		if l.GitLab == "" {
			l.GitLab = gitlabURL
		}
	}
	if err := edit(l); err != nil {
		return err
	}
	after, err := l.Bytes()
	switch {
	case err != nil:
		return err
	case before == nil:
		return durable.WriteNew(o.path, after, 0o644)
	case string(before) == string(after):
		return nil
	}
	_, err = durable.Replace(o.path, before, after)
	return err
}

// OwnersInput is what an owners report is about.
type OwnersInput struct {
	Fleet   FleetInput
	IDs     []rekey.RunnerID // none: all
	Offline bool             // ask no GitLab
	Overdue bool             // only what is due
}

// Owners joins the owners file with what GitLab says. Records without an entry
// and entries whose record is gone are in it too.
func (a *App) Owners(ctx context.Context, in OwnersInput) ([]fleets.Row, error) {
	if in.Offline {
		l, err := ownersPath(in.Fleet.Owners).read("")
		if err != nil {
			return nil, err
		}
		return a.writtenRows(l, in), nil
	}
	f, err := a.OpenFleet(ctx, in.Fleet)
	if err != nil {
		return nil, err
	}
	return f.rows(ctx, in)
}

func (a *App) writtenRows(l *fleets.Ledger, in OwnersInput) []fleets.Row {
	var rows []fleets.Row
	if l == nil {
		return nil
	}
	for _, e := range l.Entries() {
		rows = append(rows, fleets.RowOf(e, nil, fleets.KnownUnknown, a.Now()))
	}
	return chosen(rows, in)
}

func (f *Fleet) rows(ctx context.Context, in OwnersInput) ([]fleets.Row, error) {
	runners, err := f.listed(ctx, "")
	if err != nil {
		return nil, err
	}
	ledger := f.ledger
	if ledger == nil {
		ledger = fleets.NewLedger(f.client.URL())
	}
	listed := map[rekey.RunnerID]bool{}
	var rows []fleets.Row
	for _, r := range runners {
		e, _ := ledger.Entry(r.ID)
		listed[r.ID] = true
		rows = append(rows, fleets.RowOf(e, &fleets.Record{Runner: r}, fleets.KnownYes, f.now))
	}
	var rest []rekey.RunnerID
	for _, e := range ledger.Entries() {
		if !listed[e.ID] && (in.named(e.ID) || len(in.IDs) == 0 && in.Fleet.Group == "" && in.Fleet.Project == "") {
			rest = append(rest, e.ID)
		}
	}
	for _, id := range in.IDs {
		if _, written := ledger.Entry(id); !written && !listed[id] {
			rest = append(rest, id)
		}
	}
	found, err := f.client.Details(ctx, rest, f.in.Progress)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		if _, written := ledger.Entry(d.Runner.ID); !written && d.ReadAt.IsZero() {
			return nil, d.Err // asked for by id, and neither GitLab nor the file tells of it
		}
		rows = append(rows, f.unlisted(ledger, d))
	}
	return chosen(rows, in), nil
}

// unlisted is a runner that the list did not show: gone, or out of sight.
func (f *Fleet) unlisted(ledger *fleets.Ledger, d gitlab.Detail) fleets.Row {
	e, _ := ledger.Entry(d.Runner.ID)
	switch {
	case gone(d.Err):
		return fleets.RowOf(e, nil, fleets.KnownGone, f.now)
	case d.Err != nil && d.ReadAt.IsZero():
		return fleets.RowOf(e, nil, fleets.KnownUnknown, f.now)
	}
	r := recordOf(d)
	return fleets.RowOf(e, &r, fleets.KnownYes, f.now)
}

func (in OwnersInput) named(id rekey.RunnerID) bool {
	for _, wanted := range in.IDs {
		if wanted == id {
			return true
		}
	}
	return false
}

func chosen(rows []fleets.Row, in OwnersInput) []fleets.Row {
	var list []fleets.Row
	for _, r := range rows {
		if (len(in.IDs) == 0 || in.named(r.ID)) && (!in.Overdue || r.Overdue) {
			list = append(list, r)
		}
	}
	fleets.SortRows(list)
	return list
}

// OwnerEdit is a change of an entry; nil fields stay.
type OwnerEdit struct {
	Owner, Note               *string
	RotatedAt, Due, ExpiresAt *fleets.Moment
	Keep                      *bool
}

// SetOwner writes down who owns runners. Each must exist at GitLab, whose words
// about creator and creation go into the entry. Nothing is written unless all can
// be.
func (a *App) SetOwner(ctx context.Context, in FleetInput, ids []rekey.RunnerID, edit OwnerEdit) ([]fleets.Row, error) {
	in.Owners = strings.TrimSpace(in.Owners)
	file := ownersPath(in.Owners)
	named := in.Owners
	in.Owners = ""
	if _, err := os.Stat(file.path); err == nil {
		in.Owners = named
	}
	f, err := a.OpenFleet(ctx, in)
	if err != nil {
		return nil, err
	}
	found, err := f.client.Details(ctx, ids, in.Progress)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		if gone(d.Err) {
			return nil, rekey.Errorf(rekey.KindNotFound, "GitLab has no runner %d: nothing was written", d.Runner.ID).WithHint("`rekey runner owner forget %d` removes an entry", d.Runner.ID)
		}
		if d.ReadAt.IsZero() {
			return nil, d.Err
		}
	}
	var rows []fleets.Row
	err = file.change(f.client.URL(), func(l *fleets.Ledger) error {
		for _, d := range found {
			e, _ := l.Entry(d.Runner.ID)
			if err := edit.on(&e, d.Runner, f); err != nil {
				return err
			}
			if err := l.Set(e); err != nil {
				return err
			}
			r := recordOf(d)
			rows = append(rows, fleets.RowOf(e, &r, fleets.KnownYes, f.now))
		}
		return nil
	})
	return rows, err
}

func (o OwnerEdit) on(e *fleets.Entry, r rekey.Runner, f *Fleet) error {
	e.Description = printable(r.Description)
	if r.Creator != "" {
		e.CreatedBy = r.Creator
	}
	if !r.CreatedAt.IsZero() {
		e.CreatedAt = r.CreatedAt.Truncate(1e9)
	}
	if o.Owner != nil {
		e.Owner = *o.Owner
	}
	if o.Note != nil {
		e.Note = *o.Note
	}
	if o.Keep != nil {
		e.Keep = *o.Keep
	}
	if o.RotatedAt != nil {
		e.RotatedAt = o.RotatedAt.From(f.now)
	}
	base := e.RotatedAt
	if base.IsZero() {
		base = f.now
	}
	if o.Due != nil {
		e.Due = o.Due.From(base)
	}
	if o.ExpiresAt != nil {
		e.ExpiresAt = o.ExpiresAt.From(base)
	}
	if !e.RotatedAt.IsZero() && e.RotatedAt.After(f.now.AddDate(0, 0, 1)) {
		return rekey.Errorf(rekey.KindInvalid, "runner %d cannot have been rotated on %s, which is still to come", e.ID, fleets.DayText(e.RotatedAt))
	}
	return nil
}

// printable drops what is no text from a description that somebody else wrote.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// ForgetOwner removes entries; it asks no GitLab. KindNotFound, and nothing
// changed, where one has no entry.
func (a *App) ForgetOwner(owners string, ids []rekey.RunnerID) error {
	file := ownersFile{path: ownersPath(owners).path, named: true}
	if _, err := file.read(""); err != nil {
		return err
	}
	return file.change("", func(l *fleets.Ledger) error {
		for _, id := range ids {
			if !l.Forget(id) {
				return rekey.Errorf(rekey.KindNotFound, "%s has no entry for runner %d: nothing was changed", file.path, id)
			}
		}
		return nil
	})
}
