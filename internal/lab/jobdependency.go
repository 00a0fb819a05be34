package lab

import (
	"net/netip"
	"net/url"
	"strings"
)

// payloadDependency is an earlier job whose artifacts a job downloads, with the
// token to do it: the downloading job's own.
type payloadDependency struct {
	ID            int64         `json:"id"`
	Name          string        `json:"name"`
	Token         string        `json:"token"`
	ArtifactsFile artifactsFile `json:"artifacts_file"`
}

type artifactsFile struct {
	Filename string `json:"filename"`
	Size     int64  `json:"size"`
}

// dependencies are the jobs that j waited for and that uploaded an archive.
func (t *tx) dependencies(j *job, token string) ([]payloadDependency, error) {
	type uploaded struct {
		job  job
		file artifactsFile
	}
	all, err := rows(t, func(sc scanner) (uploaded, error) {
		var u uploaded
		err := sc.Scan(&u.job.ID, &u.job.Name, &u.job.StageIndex, &u.file.Filename, &u.file.Size)
		return u, err
	}, `SELECT j.id, j.name, j.stage_index, a.filename, length(a.data) FROM jobs j JOIN artifacts a ON a.job_id = j.id
		WHERE j.pipeline_id = ? AND NOT j.retried AND a.file_type = 'archive' ORDER BY j.id`, j.PipelineID)
	found := []payloadDependency{}
	for i := range all {
		if j.waitsFor(&all[i].job) {
			found = append(found, payloadDependency{all[i].job.ID, all[i].job.Name, token, all[i].file})
		}
	}
	return found, err
}

// supports reports whether the runner that asks declared what the job needs.
func (from *contact) supports(j *job) bool {
	features, _ := from.info["features"].(map[string]any)
	for _, a := range j.Plan.V.Artifacts {
		if able, _ := features["artifacts_exclude"].(bool); len(a.Exclude) > 0 && !able {
			return false
		}
	}
	return true
}

// nextSupported is nextJob without the jobs that need a feature which the runner
// lacks: those fail as runner_unsupported.
func (c *call) nextSupported(r *runner, from contact) (job, error) {
	for {
		j, err := c.nextJob(r)
		if err != nil || from.supports(&j) {
			return j, err
		}
		if err := c.finish(&j, "failed", "runner_unsupported", nil); err != nil {
			return j, err
		}
	}
}

// localSession reports whether the runner offers its session at an address that
// the server's rules for requests of its own refuse.
func (c *call) localSession() bool {
	session, _ := c.params["session"].(map[string]any)
	spelled, _ := session["url"].(string)
	u, err := url.Parse(spelled)
	if spelled == "" || err != nil {
		return false
	}
	host := u.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && (address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast() || address.IsUnspecified())
}
