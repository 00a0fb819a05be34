package lab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

var keysetParams = []param{may("pagination", text, "keyset", "legacy", "none"), may("cursor", text)}

// cursor is what the opaque value in a keyset page's Link says.
type cursor struct {
	ID int64 `json:"id,string"`
}

// keyset reads the next page of jobs by id without counting any: only Link tells
// that there is more.
func (c *call) keyset(where string, args []any) (answer, error) {
	_, size, err := c.pageWanted()
	if err != nil {
		return answer{}, err
	}
	order, compare := "j.id DESC", "j.id < ?"
	if c.text("sort") == "asc" {
		order, compare = "j.id", "j.id > ?"
	}
	if spelled := c.text("cursor"); spelled != "" {
		raw, err := base64.RawURLEncoding.DecodeString(spelled)
		var after cursor
		if err != nil || json.Unmarshal(raw, &after) != nil {
			return answer{}, grape(http.StatusBadRequest, "cursor is invalid")
		}
		where, args = where+" AND "+compare, append(args, after.ID)
	}
	found, err := rows(c.tx, scanJob, "SELECT "+jobColumns+" FROM jobs j WHERE "+where+" ORDER BY "+order+" LIMIT ?", append(args, size+1)...)
	if err != nil {
		return answer{}, err
	}
	if int64(len(found)) > size {
		found = found[:size]
		raw, err := json.Marshal(cursor{found[size-1].ID})
		if err != nil {
			return answer{}, err
		}
		query := url.Values{}
		for k, values := range c.r.URL.Query() {
			query[k] = values
		}
		query.Del("private_token")
		query.Set("cursor", base64.RawURLEncoding.EncodeToString(raw))
		c.header.Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, c.baseURL(c.r), c.r.URL.EscapedPath(), query.Encode()))
	}
	return eachOK(found, c.jobEntity)
}
