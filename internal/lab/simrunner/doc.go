// Package simrunner is the lab's simulated runner: a process that treats
// config.toml, GitLab's job endpoints and refusals as gitlab-runner does, for
// machines that have no gitlab-runner and for load. It owns the reading and
// reloading of config.toml, the polling of POST /jobs/request, the health of a
// section, and the execution of a job's script with sh. It refuses to write
// config.toml, to fetch sources, caches or artifacts, and to run anything but
// shell scripts; it does not rotate its token by itself. Its log shows a token
// only by the short form gitlab-runner prints, also where old versions print
// all of it.
package simrunner
