// Package pgconn stands in for jackc's package of this name, by a replace line in
// go.mod; see pgx.
package pgconn

import (
	"context"
	"crypto/tls"
)

// ParseConfigOptions has what the sdk touches.
type ParseConfigOptions struct {
	GetSSLPassword func(context.Context) string
}

// FallbackConfig has what the sdk touches.
type FallbackConfig struct {
	Host      string
	Port      uint16
	TLSConfig *tls.Config
}

// Config has what the sdk touches.
type Config struct {
	Host      string
	Port      uint16
	TLSConfig *tls.Config
	Fallbacks []*FallbackConfig
}

// NetworkAddress returns nothing.
func NetworkAddress(string, uint16) (network, address string) { return "", "" }
