// Package docker reads runner configs, system ids and logs out of containers,
// running or stopped, through the Docker API. It owns which daemon is asked, which
// containers run gitlab-runner, which config is in force in one, and how a denial
// is worded. It changes nothing but by one signal, SIGHUP to a gitlab-runner that is to
// load its config: every other request is a GET or a HEAD, no command is run inside a
// container, and a container's environment never leaves through an error.
package docker
