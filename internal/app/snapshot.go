package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/durable"
	"rekey/internal/gitlab"
	"rekey/internal/guard"
)

// SnapshotInput is what a snapshot, or a comparison with one, is asked.
type SnapshotInput struct {
	DoctorInput
	State    StateInput
	KeyFile  string                // "" for snapshot.key in the state directory
	Recorded func(done, total int) // progress of the records
}

// Snapshot looks at the configs at hand and the records in reach. Its key is made
// where there is none.
func (a *App) Snapshot(ctx context.Context, in SnapshotInput) (guard.Snapshot, error) {
	key, err := a.snapshotKey(in, true)
	if err != nil {
		return guard.Snapshot{}, err
	}
	v := &viewer{app: a, in: in, key: key}
	return v.look(ctx, v.listed)
}

// SnapshotDiff looks again, and says what is stale since was. It changes nothing.
func (a *App) SnapshotDiff(ctx context.Context, in SnapshotInput, was guard.Snapshot) (guard.Diff, error) {
	key, err := a.snapshotKey(in, false)
	if err != nil {
		return guard.Diff{}, err
	}
	if key.Name() != was.Key { // before anything is asked
		return guard.Compare(was, guard.Snapshot{Key: key.Name()})
	}
	if len(in.Configs) == 0 && in.Hosts.none() {
		in.Configs = configsIn(was)
	}
	v := &viewer{app: a, in: in, key: key}
	now, err := v.look(ctx, func(context.Context, *gitlab.Client) ([]rekey.RunnerID, guard.Reach, error) {
		return idsIn(was, v.net.base), guard.ReachOwn, nil
	})
	if err != nil {
		return guard.Diff{}, err
	}
	return guard.Compare(was, now)
}

// ReadSnapshot reads a snapshot's file.
func (a *App) ReadSnapshot(path string) (guard.Snapshot, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return guard.Snapshot{}, rekey.Errorf(rekey.KindNotFound, "the snapshot cannot be read: %w", err).WithHint("`rekey snapshot -o FILE` takes one")
	}
	return guard.ParseSnapshot(text)
}

// WriteSnapshot makes a file of a snapshot; one that exists stays as it is.
func (a *App) WriteSnapshot(path string, text []byte) error {
	err := durable.WriteNew(path, text, 0o600)
	if err != nil && rekey.KindOf(err) == rekey.KindConflict {
		return rekey.Errorf(rekey.KindConflict, "%s exists, and a snapshot is not written over", path).WithHint("give another name, or remove that file")
	}
	return err
}

// configsIn are the configs of this machine in a snapshot that are there now.
func configsIn(s guard.Snapshot) []string {
	var paths []string
	for _, section := range s.Sections {
		if strings.Contains(section.Config, "://") || slices.Contains(paths, section.Config) {
			continue
		}
		if _, err := os.Stat(section.Config); err == nil {
			paths = append(paths, section.Config)
		}
	}
	return paths
}

func idsIn(s guard.Snapshot, base string) []rekey.RunnerID {
	var ids []rekey.RunnerID
	for _, r := range s.Records {
		if gitlab.SameGitLab(r.GitLab, base) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// snapshotKey reads the key, or makes it where that is wanted.
func (a *App) snapshotKey(in SnapshotInput, create bool) (guard.Key, error) {
	path := in.KeyFile
	if path == "" {
		dir, err := a.stateDir(in.State)
		if err != nil {
			return guard.Key{}, err
		}
		path = filepath.Join(dir, "snapshot.key")
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
		return makeSnapshotKey(path)
	case errors.Is(err, fs.ErrNotExist):
		return guard.Key{}, rekey.Errorf(rekey.KindNotFound, "the key of the snapshot is not there: %s", path).
			WithHint("it was made with the first snapshot, in that host's state directory: name it with --key-file, or --state-dir")
	case err != nil:
		return guard.Key{}, rekey.Errorf(rekey.KindDenied, "the key of the snapshot cannot be read: %w", err).WithHint("run rekey as the user who took the snapshot")
	}
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return guard.Key{}, rekey.Errorf(rekey.KindDenied, "%s may be read by others (mode %04o): with it a guessed token can be tested against a snapshot", path, info.Mode().Perm()).
			WithHint("chmod 600 %s; if others may have read it, remove it and take a new snapshot", path)
	}
	return guard.ParseKey(text)
}

func makeSnapshotKey(path string) (guard.Key, error) {
	key, err := guard.NewKey(rand.Reader)
	if err == nil {
		err = durable.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = durable.WriteNew(path, key.Encode(), 0o600)
	}
	if err != nil && rekey.KindOf(err) == rekey.KindConflict { // another rekey made one just now
		text, rerr := os.ReadFile(path)
		if rerr != nil {
			return guard.Key{}, rerr
		}
		return guard.ParseKey(text)
	}
	return key, err
}

// viewer takes one snapshot.
type viewer struct {
	app *App
	in  SnapshotInput
	key guard.Key
	net *network
}

// chooser says which records to look at.
type chooser func(context.Context, *gitlab.Client) (ids []rekey.RunnerID, reach guard.Reach, why error)

func (v *viewer) look(ctx context.Context, choose chooser) (guard.Snapshot, error) {
	n, err := v.app.network(v.in.Access)
	if err != nil {
		return guard.Snapshot{}, err
	}
	v.net = n
	sources, err := v.app.sources(v.in.DoctorInput)
	if err != nil && (n.client == nil || rekey.KindOf(err) != rekey.KindNotFound || len(v.in.Configs) > 0) {
		return guard.Snapshot{}, err // without a config here, the records alone are worth a snapshot
	}
	facts, err := v.app.observe(ctx, n, v.in.DoctorInput, sources)
	if err != nil {
		return guard.Snapshot{}, err
	}
	s := guard.Snapshot{Schema: guard.SchemaSnapshot, TakenAt: v.app.Now().UTC(), Key: v.key.Name(), GitLabs: []guard.GitLab{}, Sections: []guard.Section{}, Records: []guard.Record{}, Unread: []string{}}
	v.sections(&s, facts, diagnose.Judge(facts))
	for _, server := range v.servers(facts) {
		s.GitLabs = append(s.GitLabs, guard.GitLab{URL: server.URL, Version: server.VersionText, Records: guard.ReachNone, Reason: "no user token for it was given"})
	}
	if n.client == nil {
		return s, nil
	}
	return s, v.records(ctx, &s, choose)
}

// servers are the GitLabs of the sections, and that of the user token.
func (v *viewer) servers(facts diagnose.Facts) []diagnose.Server {
	list := facts.Servers
	if v.net.client != nil && serverOf(facts, v.net.base) == "" {
		list = append(slices.Clone(list), diagnose.Server{URL: v.net.client.URL()})
	}
	return list
}

// serverOf is how the facts name the GitLab at base, "" where no section is of it.
func serverOf(facts diagnose.Facts, base string) string {
	for _, s := range facts.Servers {
		if gitlab.SameGitLab(s.URL, base) {
			return s.URL
		}
	}
	return ""
}

func (v *viewer) sections(s *guard.Snapshot, facts diagnose.Facts, report diagnose.Report) {
	judged := map[place]diagnose.SectionReport{}
	for _, r := range report.Sections {
		judged[place{r.Config, r.Index}] = r
	}
	for _, c := range facts.Configs {
		if c.Err != "" {
			s.Unread = append(s.Unread, c.Err)
		}
		for _, f := range c.Sections {
			r := judged[place{f.Config, f.Index}]
			token, url := f.Token, f.URL
			if f.Expanded != nil {
				token, url = *f.Expanded, f.ExpandedURL
			}
			base, _ := gitlab.BaseURL(url)
			section := guard.Section{Config: absolutePath(f.Config), Index: f.Index, Name: f.Name, URL: r.URL, GitLab: serverOf(facts, base), RunnerID: r.RunnerID, Token: v.key.Mark(token),
				Kind: f.Token.Kind(), SystemID: f.SystemID, ObtainedAt: f.ObtainedAt, ExpiresAt: f.ExpiresAt, Verdict: r.Verdict}
			if r.Verdict != rekey.Valid {
				section.Seen = f.Answer.Message
			}
			s.Sections = append(s.Sections, section)
		}
	}
}

// place is where a section stands.
type place struct {
	config string
	index  int
}

// absolutePath is how a snapshot names a config of this machine: the comparison
// may start elsewhere.
func absolutePath(path string) string {
	if strings.Contains(path, "://") {
		return path
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// listed are all records that the user token shows.
func (v *viewer) listed(ctx context.Context, client *gitlab.Client) (ids []rekey.RunnerID, reach guard.Reach, why error) {
	reach = guard.ReachAll
	list, err := client.List(ctx, gitlab.ListOptions{Reach: gitlab.ReachAll})
	if err != nil && rekey.KindOf(err) == rekey.KindDenied {
		reach, why = guard.ReachOwn, errors.New("only an administrator may list every runner")
		list, err = client.List(ctx, gitlab.ListOptions{})
	}
	if err != nil {
		return nil, guard.ReachOwn, err
	}
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids, reach, why
}

// records reads the chosen records and those of the sections.
func (v *viewer) records(ctx context.Context, s *guard.Snapshot, choose chooser) error {
	client := v.net.client
	ids, reach, why := choose(ctx, client)
	if why != nil && errors.Is(why, gitlab.ErrTokenRefused) {
		return why
	}
	for _, section := range s.Sections {
		if section.RunnerID != 0 && gitlab.SameGitLab(section.GitLab, v.net.base) {
			ids = append(ids, section.RunnerID)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	found, err := client.Details(ctx, ids, v.in.Recorded)
	if err != nil {
		return err
	}
	base := client.URL()
	for i := range s.GitLabs {
		if g := &s.GitLabs[i]; gitlab.SameGitLab(g.URL, base) {
			base, g.Records, g.Reason = g.URL, reach, ""
			if why != nil {
				g.Reason = why.Error()
			}
		}
	}
	for _, d := range found {
		s.Records = append(s.Records, recordSeen(base, d))
	}
	return nil
}

func recordSeen(base string, d gitlab.Detail) guard.Record {
	switch {
	case gone(d.Err):
		return guard.Record{GitLab: base, ID: d.Runner.ID, Presence: guard.PresenceGone}
	case d.Err != nil && d.Runner.Scope == "": // its managers may be unreadable alone
		return guard.Record{GitLab: base, ID: d.Runner.ID, Presence: guard.PresenceUnknown, Reason: d.Err.Error()}
	}
	return guard.RecordOf(base, d.Runner)
}
