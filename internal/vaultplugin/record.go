package vaultplugin

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

const (
	recordPrefix = "record/"
	markerPrefix = "rekey-vault-"
	walCreate    = "create"
)

// record is a runner record that is outstanding, from before it is asked for until
// it is known to be gone. It is kept in Vault's storage at recordPrefix/ROLE/MARKER,
// in the write-ahead log and, without Due, in the lease. It never holds the token.
type record struct {
	Role     string         `json:"role"`
	Marker   string         `json:"marker"` // tag by which it is found and recognised
	Instance string         `json:"instance"`
	RunnerID rekey.RunnerID `json:"runner_id,omitempty"` // 0: not known
	Born     int64          `json:"born"`                // Unix seconds, by GitLab's clock where it told
	Due      int64          `json:"due,omitempty"`       // Unix seconds; no lease can hold it after that, or its lease was revoked then
	Expires  int64          `json:"expires,omitempty"`   // of the token at GitLab; 0: never
}

func (r *record) key() string { return recordPrefix + r.Role + "/" + r.Marker }

// past reports whether the record is nobody's any more.
func (r *record) past(now time.Time) bool { return r.Due != 0 && now.Unix() >= r.Due }

func (r *record) put(ctx context.Context, s logical.Storage) error {
	entry, err := logical.StorageEntryJSON(r.key(), r)
	if err != nil {
		return err
	}
	return s.Put(ctx, entry)
}

// stored returns the record as it is written down, nil if it is not.
func (r *record) stored(ctx context.Context, s logical.Storage) (*record, error) {
	entry, err := s.Get(ctx, r.key())
	if err != nil || entry == nil {
		return nil, err
	}
	found := new(record)
	return found, entry.DecodeJSON(found)
}

// lease is what a lease keeps of the record: strings, which no encoding rounds.
func (r *record) lease() map[string]any {
	return map[string]any{
		"role": r.Role, "marker": r.Marker, "instance": r.Instance, "runner_id": strconv.FormatInt(int64(r.RunnerID), 10),
		"born": strconv.FormatInt(r.Born, 10), "expires": strconv.FormatInt(r.Expires, 10),
	}
}

// leased reads lease's strings back, and the same out of the write-ahead log.
func leased(data map[string]any) (*record, error) {
	text := func(key string) string { s, _ := data[key].(string); return s }
	r := &record{Role: text("role"), Marker: text("marker"), Instance: text("instance"), RunnerID: rekey.RunnerID(number(text("runner_id"))),
		Born: number(text("born")), Expires: number(text("expires"))}
	if r.Role == "" || !strings.HasPrefix(r.Marker, markerPrefix) {
		return nil, rekey.Errorf(rekey.KindInternal, "this is no lease of a runner")
	}
	return r, nil
}

// sameRecord recognises the record by its marker or, where somebody edited its tags,
// by when it was made: after GitLab was restored from a backup the id may be
// another's.
func (r *record) sameRecord(seen rekey.Runner) bool {
	for _, tag := range seen.Tags {
		if tag == r.Marker {
			return true
		}
	}
	apart := seen.CreatedAt.Sub(time.Unix(r.Born, 0)).Abs()
	return !seen.CreatedAt.IsZero() && apart <= time.Minute
}

// errAnother is why remove leaves a runner alone that has the record's id.
var errAnother = errors.New("it may be another runner")

// remove deletes the record at GitLab. found is false where there was none, or none
// any more.
func (r *record) remove(ctx context.Context, gl GitLab) (found bool, err error) {
	if r.RunnerID == 0 {
		return r.removeMarked(ctx, gl)
	}
	seen, err := gl.Runner(ctx, r.RunnerID)
	switch {
	case err != nil && rekey.KindOf(err) == rekey.KindNotFound:
		return false, nil
	case err != nil:
		return false, err
	case !r.sameRecord(seen):
		return false, rekey.Errorf(rekey.KindConflict, "runner %d was not deleted: it lacks the tag %s and was made at another time, so %w", r.RunnerID, r.Marker, errAnother).
			WithHint("if it is the right one, give it the tag again or delete it; else vault lease revoke -force")
	}
	return true, deleted(gl.DeleteRunner(ctx, r.RunnerID))
}

func (r *record) removeMarked(ctx context.Context, gl GitLab) (bool, error) {
	found, err := gl.FindByTag(ctx, r.Marker)
	if err != nil {
		return false, err
	}
	for _, seen := range found {
		if err := deleted(gl.DeleteRunner(ctx, seen.ID)); err != nil {
			return false, err
		}
	}
	return len(found) > 0, nil
}

func deleted(err error) error {
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		return nil
	}
	return err
}

// outstanding calls visit for each record written down, until it fails.
func outstanding(ctx context.Context, s logical.Storage, visit func(*record) error) error {
	roles, err := s.List(ctx, recordPrefix)
	if err != nil {
		return err
	}
	for _, role := range roles {
		role = strings.TrimSuffix(role, "/")
		markers, err := s.List(ctx, recordPrefix+role+"/")
		if err != nil {
			return err
		}
		for _, marker := range markers {
			r, err := (&record{Role: role, Marker: marker}).stored(ctx, s)
			if err == nil && r != nil {
				err = visit(r)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// noneOutstanding fails where a record is written down.
func noneOutstanding(ctx context.Context, s logical.Storage) error {
	n := 0
	if err := outstanding(ctx, s, func(*record) error { n++; return nil }); err != nil || n == 0 {
		return err
	}
	return rekey.Errorf(rekey.KindConflict, "%d runners of this mount are outstanding", n)
}

// reserve writes the record down before it is asked for, unless the role has as many
// as it may, or the config is of another GitLab by now.
func (b *backend) reserve(ctx context.Context, s logical.Storage, r *record, limit int) error {
	b.register.Lock()
	defer b.register.Unlock()
	if err := configured(ctx, s, r.Instance, r.Role); err != nil {
		return err
	}
	if limit > 0 {
		have, err := s.List(ctx, recordPrefix+r.Role+"/")
		if err != nil {
			return err
		}
		if len(have) >= limit {
			return rekey.Errorf(rekey.KindConflict, "the role %s has %d runners, and max_records is %d", r.Role, len(have), limit).
				WithHint("revoke leases that are not needed, or raise max_records of the role")
		}
	}
	return r.put(ctx, s)
}
