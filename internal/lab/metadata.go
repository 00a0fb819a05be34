package lab

// metadata is GET /version and GET /metadata.
type metadata struct {
	Version    string      `json:"version"`
	Revision   string      `json:"revision"`
	KAS        kasMetadata `json:"kas"`
	Enterprise bool        `json:"enterprise"`
}

type kasMetadata struct {
	Enabled     bool    `json:"enabled"`
	ExternalURL *string `json:"externalUrl"`
	Version     *string `json:"version"`
}

func getMetadata(c *call) (answer, error) {
	revision, err := c.meta("revision")
	if err != nil {
		return answer{}, err
	}
	return ok(metadata{Version: c.version.String(), Revision: revision})
}
