// Package pgx stands in for version 4 of jackc's package of this name, by a replace
// line in go.mod. The framework of Vault's sdk imports the original through the parts
// for database plugins, of which rekey has none.
package pgx

import (
	"errors"

	"github.com/jackc/pgconn"
)

// ConnConfig has what the sdk touches.
type ConnConfig struct{ pgconn.Config }

// ParseConfig always fails.
func ParseConfig(string) (*ConnConfig, error) {
	return nil, errors.New("this program has no database plugin")
}
