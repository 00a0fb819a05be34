// Package ssh reads the configs of another host through the user's own ssh
// program, with the user's configuration, agent and known hosts, and replaces one
// where a connection was made for that. It owns one connection a host, the scripts
// that answer there, and what a failure of ssh means. It refuses to ask for a
// password, to put a token into an argument, and to read more of a process's
// arguments than which config they name.
package ssh
