// Package testport finds ports of 127.0.0.1 for the servers that a test starts and
// that cannot choose one themselves. It owns nothing else.
package testport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports are below those that systems hand out for port 0 and for outgoing
// connections (Linux: ip_local_port_range, from 32768), where another process of the
// same run may take a port between the look and the start.
const (
	lowest  = 15_000
	highest = 32_000
)

// Free returns a port that nobody listens on now. Safe for concurrent use.
func Free() (string, error) {
	for range 100 {
		port := strconv.Itoa(lowest + rand.IntN(highest-lowest))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			return port, l.Close()
		}
	}
	return "", errors.New("no free port below 32000 in a hundred tries")
}
