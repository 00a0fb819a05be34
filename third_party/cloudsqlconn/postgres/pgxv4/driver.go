// Package pgxv4 stands in for Google's; see cloudsqlconn.
package pgxv4

import (
	"errors"

	"cloud.google.com/go/cloudsqlconn"
)

// RegisterDriver always fails.
func RegisterDriver(string, ...cloudsqlconn.Option) (func() error, error) {
	return nil, errors.New("this program connects to no Cloud SQL")
}
