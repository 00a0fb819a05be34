// Package ssh reads the configs of another host through the user's own ssh
// program, with the user's configuration, agent and known hosts. It owns one
// connection a host, the script that answers there, and what a failure of ssh
// means. It refuses to write anything on the host, to ask for a password, and to
// read more of a process's arguments than which config they name.
package ssh
