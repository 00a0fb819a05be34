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
	header := c.in.files["file"]
	if header == nil {
		return answer{}, grape(http.StatusBadRequest, "file is missing")
	}
	megabytes, _ := c.settings().number("max_artifacts_size")
	if header.Size > megabytes<<20 {
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

// authorizeArtifact is between Workhorse and Rails: without its signature, 403.
func authorizeArtifact(*call) (answer, error) { return answer{}, forbidden("") }

// getArtifacts is GET /projects/:id/jobs/:job_id/artifacts.
func getArtifacts(c *call) (answer, error) {
	j, err := c.findJob(levelReporter)
	if err != nil {
		return answer{}, err
	}
	var data []byte
	if err := c.value(&data, "SELECT data FROM artifacts WHERE job_id = ? AND file_type = 'archive'", j.ID); err != nil {
		return answer{}, missing(err, notFound(""))
	}
	return answer{status: http.StatusOK, raw: append([]byte{}, data...), contentType: "application/zip"}, nil
}
