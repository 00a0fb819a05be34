package lab

import (
	"io"
	"net/http"
)

var artifactParams = takes(may("artifact_format", text, "zip", "gzip", "raw"), may("artifact_type", text), may("expire_in", text), may("accessibility", text))

// postArtifact is POST /jobs/:id/artifacts, the runner's own upload.
func postArtifact(c *call) (answer, error) {
	j, err := c.jobFor()
	if err != nil {
		return answer{}, err
	}
	if c.flagOn(flagNoArtifacts) {
		return answer{}, message(http.StatusMethodNotAllowed, "405 Method Not Allowed")
	}
	header := c.in.files["file"]
	if header == nil {
		return answer{}, grape(http.StatusBadRequest, "file is missing")
	}
	most, err := c.artifactLimit(&j)
	if err != nil {
		return answer{}, err
	}
	if header.Size > most<<20 {
		return answer{}, message(http.StatusRequestEntityTooLarge, "413 Request Entity Too Large")
	}
	file, err := header.Open()
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(file)
	if err != nil {
		return answer{}, err
	}
	kind, format := c.text("artifact_type"), c.text("artifact_format")
	if kind == "" {
		kind = "archive"
	}
	if format == "" {
		format = "zip"
	}
	err = c.exec(`INSERT INTO artifacts (job_id, file_type, file_format, filename, data, created_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (job_id, file_type) DO UPDATE SET file_format = excluded.file_format, filename = excluded.filename, data = excluded.data`,
		j.ID, kind, format, header.Filename, data, at(c.now))
	if err != nil {
		return answer{}, err
	}
	return digits(http.StatusCreated, "201")
}

// artifactLimit is the smallest limit, in MB, of the instance, the plan, the
// project and the groups above it.
func (c *call) artifactLimit(j *job) (int64, error) {
	most, _ := c.settings().number("max_artifacts_size")
	if plan := c.limit(limitArtifact); plan > 0 {
		most = min(most, plan)
	}
	var namespace int64
	var own *int64
	err := c.sql.QueryRowContext(c.ctx, "SELECT namespace_id, max_artifacts_size FROM projects WHERE id = ?", j.ProjectID).Scan(&namespace, &own)
	if err != nil {
		return 0, err
	}
	if own != nil {
		most = min(most, *own)
	}
	var above *int64
	err = c.value(&above, "SELECT min(max_artifacts_size) FROM namespaces WHERE id IN "+namespaceAndAbove, namespace)
	if above != nil {
		most = min(most, *above)
	}
	return most, err
}

var downloadParams = takes(may("token", text), may("direct_download", boolean))

// downloadArtifact is GET /jobs/:id/artifacts with the token of a running job of
// the same project.
func downloadArtifact(c *call) (answer, error) {
	token := c.r.Header.Get("Job-Token")
	if token == "" {
		token = c.text("token")
	}
	asks, err := row(c.tx, scanJob, "SELECT "+jobColumns+" FROM jobs j WHERE j.token_digest = ? AND j.status IN ('running', 'canceling')", c.secrets.digest(domainJob, token))
	if err != nil {
		return answer{}, missing(err, unauthorized())
	}
	id, err := c.pathID("id")
	if err != nil {
		return answer{}, err
	}
	of, err := c.jobByID(id)
	if err != nil {
		return answer{}, missing(err, notFound(""))
	}
	if of.ProjectID != asks.ProjectID {
		return answer{}, forbidden("")
	}
	return c.archive(of.ID)
}

func (c *call) archive(jobID int64) (answer, error) {
	var data []byte
	if err := c.value(&data, "SELECT data FROM artifacts WHERE job_id = ? AND file_type = 'archive'", jobID); err != nil {
		return answer{}, missing(err, notFound(""))
	}
	return answer{status: http.StatusOK, raw: append([]byte{}, data...), contentType: "application/zip"}, nil
}

// getJobOfToken is GET /job: the job whose token asks.
func getJobOfToken(c *call) (answer, error) {
	token := c.r.Header.Get("Job-Token")
	if token == "" {
		token, _ = c.in.values["job_token"].(string)
	}
	j, err := row(c.tx, scanJob, "SELECT "+jobColumns+" FROM jobs j WHERE j.token_digest = ? AND j.status IN ('running', 'canceling')", c.secrets.digest(domainJob, token))
	if err != nil {
		return answer{}, missing(err, unauthorized())
	}
	u, err := c.userByID(j.UserID)
	if err != nil {
		return answer{}, missing(err, unauthorized())
	}
	c.caller = &caller{user: u}
	return c.showJob(http.StatusOK, j.ID)
}

// authorizeArtifact is between Workhorse and Rails: without its signature, 403.
func authorizeArtifact(*call) (answer, error) { return answer{}, forbidden("") }

// getArtifacts is GET /projects/:id/jobs/:job_id/artifacts.
func getArtifacts(c *call) (answer, error) {
	j, err := c.findJob(levelReporter)
	if err != nil {
		return answer{}, err
	}
	return c.archive(j.ID)
}
