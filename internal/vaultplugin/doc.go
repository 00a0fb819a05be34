// Package vaultplugin is a secrets engine for Vault and OpenBao: a role says what
// runner is wanted, reading creds/ROLE creates its record and returns the token
// with a lease, and the lease's end deletes the record. It owns the paths, the
// roles, the write-ahead log and the register of records that are outstanding. It
// refuses to know GitLab's API, and to keep a runner's token: only Vault's answer
// holds one.
package vaultplugin
