package iac

import "bytes"

// What NixOS calls the file with a registration token, and what takes its place.
const (
	nixFile       = "registrationConfigFile"
	nixRunnerFile = "authenticationTokenConfigFile"
)

// nixFile renames the option of services.gitlab-runner: NixOS takes one of the two,
// and passes over tagList and its like with the new one.
func (w *rewriter) nixFile(f Finding) {
	const lines = nixRunnerFile + " takes a file with CI_SERVER_URL and CI_SERVER_TOKEN, the glrt- token of a runner made beforehand; tags and limits belong to its record"
	if bytes.Contains(w.f.raw, []byte(nixRunnerFile)) || w.bytes(f.Where) != nixFile {
		w.decide(f.Where.Start, lines)
		return
	}
	c := change{where: f.Where.Start, edits: []edit{edited(w.f.raw, f.Where, nixRunnerFile)}}
	if !w.said[lines] {
		w.said[lines] = true
		c.comment = []string{lines}
	}
	w.add(c)
}
