package lab

import (
	"errors"
	"slices"
)

// rotateUnregistered replaces the registration tokens of projects or groups that
// are no valid registrars any more: the previous ones are invalid from then on.
func (t *tx) rotateUnregistered(before, after []string) error {
	var failed error
	for kind, table := range map[string]string{"project": "projects", "group": "namespaces"} {
		if slices.Contains(before, kind) && !slices.Contains(after, kind) {
			failed = errors.Join(failed, t.rotateAll(table))
		}
	}
	return failed
}

func (t *tx) rotateAll(table string) error {
	ids, err := rows(t, func(sc scanner) (int64, error) {
		var id int64
		err := sc.Scan(&id)
		return id, err
	}, "SELECT id FROM "+table+" WHERE registration_digest IS NOT NULL")
	for _, id := range ids {
		token := newRegistrationToken()
		err = errors.Join(err, t.exec("UPDATE "+table+" SET registration_digest = ?, registration_sealed = ? WHERE id = ?",
			t.secrets.digest(domainRegistration, token), t.secrets.sealed(token), id))
	}
	return err
}
