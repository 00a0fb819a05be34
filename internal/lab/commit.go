package lab

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// commitEntity is a commit in API answers.
type commitEntity struct {
	ID          string `json:"id"`
	ShortID     string `json:"short_id"`
	CreatedAt   stamp  `json:"created_at"`
	ParentIDs   list   `json:"parent_ids"`
	Title       string `json:"title"`
	Message     string `json:"message"`
	AuthorName  string `json:"author_name"`
	AuthorEmail string `json:"author_email"`
	WebURL      string `json:"web_url"`
}

func (c *call) scanCommit(p *project) func(scanner) (commitEntity, error) {
	return func(sc scanner) (commitEntity, error) {
		var e commitEntity
		var parent string
		err := sc.Scan(&e.ID, &parent, &e.Message, &e.CreatedAt, &e.AuthorName, &e.AuthorEmail)
		e.ParentIDs = list{}
		if parent != zeroSHA {
			e.ParentIDs = list{parent}
		}
		e.ShortID = e.ID[:min(8, len(e.ID))]
		e.Title, _, _ = strings.Cut(e.Message, "\n")
		e.WebURL = c.baseURL(c.r) + "/" + p.FullPath + "/-/commit/" + e.ID
		return e, err
	}
}

const (
	commitColumns = "k.sha, k.parent, k.message, k.created_at, coalesce(u.name, ''), coalesce(u.email, '')"
	commitsOf     = "commits k LEFT JOIN users u ON u.id = k.author_id WHERE k.project_id = ?"
)

func getCommits(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	// a branch's commits are its head's ancestors
	head, err := c.branchSHA(p.ID, c.refNamed(&p, "ref_name"))
	if err != nil {
		return answer{}, missing(err, notFound(""))
	}
	found, err := page(c, c.scanCommit(&p), commitColumns, commitsOf+` AND k.sha IN (WITH RECURSIVE up(id) AS (
		SELECT ? UNION SELECT parent FROM commits JOIN up ON sha = id) SELECT id FROM up)`, "k.created_at DESC, k.rowid DESC", p.ID, head)
	if err != nil {
		return answer{}, err
	}
	return ok(nonNil(found))
}

func (c *call) refNamed(p *project, name string) string {
	if ref := c.text(name); ref != "" {
		return ref
	}
	return p.DefaultBranch
}

func getCommit(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	sha := c.vars["sha"]
	if head, err := c.branchSHA(p.ID, sha); err == nil {
		sha = head
	}
	e, err := row(c.tx, c.scanCommit(&p), "SELECT "+commitColumns+" FROM "+commitsOf+" AND k.sha = ?", p.ID, sha)
	return answer{status: http.StatusOK, body: e}, missing(err, notFound("Commit"))
}

var commitParams = takes(need("branch", text), need("commit_message", text), need("actions", array), may("start_branch", text))

// postCommit is POST /projects/:id/repository/commits: several files at once. A
// message with [skip ci] starts no pipeline.
func postCommit(c *call) (answer, error) {
	p, err := c.needProject("id", levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	if p.Archived {
		return answer{}, forbidden("")
	}
	items, _ := c.params["actions"].([]any)
	changes, err := c.fileChanges(&p, items)
	if err != nil {
		return answer{}, err
	}
	if err := c.commit(&p, c.text("branch"), c.text("commit_message"), changes); err != nil {
		return answer{}, err
	}
	head, err := c.branchSHA(p.ID, c.text("branch"))
	if err != nil {
		return answer{}, err
	}
	e, err := row(c.tx, c.scanCommit(&p), "SELECT "+commitColumns+" FROM "+commitsOf+" AND k.sha = ?", p.ID, head)
	return answer{status: http.StatusCreated, body: e}, err
}

// fileChanges reads the actions and checks each against the branch as it is.
func (c *call) fileChanges(p *project, items []any) ([]fileChange, error) {
	branch := c.text("branch")
	if _, err := c.branchSHA(p.ID, branch); err != nil {
		branch = c.refNamed(p, "start_branch")
	}
	var changes []fileChange
	for _, item := range items {
		action, isObject := item.(map[string]any)
		if !isObject {
			return nil, grape(http.StatusBadRequest, "actions is invalid")
		}
		made, err := c.fileAction(p, branch, action)
		if err != nil {
			return nil, err
		}
		changes = append(changes, made...)
	}
	return changes, nil
}

func (c *call) fileAction(p *project, branch string, action map[string]any) ([]fileChange, error) {
	said := func(name string) string { s, _ := action[name].(string); return s }
	path, before := said("file_path"), said("previous_path")
	if path == "" {
		return nil, grape(http.StatusBadRequest, "actions[0][file_path] is missing")
	}
	content := []byte(said("content"))
	if said("encoding") == "base64" {
		var err error
		if content, err = base64.StdEncoding.DecodeString(said("content")); err != nil {
			return nil, badRequest("content is not base64")
		}
	}
	there, err := c.exists("SELECT 1 FROM files WHERE project_id = ? AND branch = ? AND path = ?", p.ID, branch, path)
	if err != nil {
		return nil, err
	}
	const exists, absent = "A file with this name already exists", "A file with this name doesn't exist"
	switch said("action") {
	case "create":
		if there {
			return nil, message(http.StatusBadRequest, exists)
		}
		return []fileChange{{path, content, false}}, nil
	case "update", "delete":
		if !there {
			return nil, message(http.StatusBadRequest, absent)
		}
		return []fileChange{{path, content, said("action") == "delete"}}, nil
	case "move":
		old, err := c.fileAt(p.ID, branch, before)
		if err != nil {
			return nil, missing(err, message(http.StatusBadRequest, absent))
		}
		if _, given := action["content"]; !given {
			content = old.content
		}
		return []fileChange{{before, nil, true}, {path, content, false}}, nil
	case "chmod":
		return nil, nil
	}
	return nil, grape(http.StatusBadRequest, "actions[0][action] does not have a valid value")
}

func getBranch(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	b, err := row(c.tx, c.scanBranch(&p), "SELECT name, protected, sha FROM branches WHERE project_id = ? AND name = ?", p.ID, c.vars["branch"])
	return answer{status: http.StatusOK, body: b}, missing(err, notFound("Branch"))
}
