package lab

import (
	"crypto/sha1" //nolint:gosec // the shape of a commit id, not a protection
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"

	"rekey/internal/lazyregexp"
)

// fileChange is one file of a commit; remove deletes it.
type fileChange struct {
	path    string
	content []byte
	remove  bool
}

// branchSHA is the head of a branch; sql.ErrNoRows where there is none.
func (t *tx) branchSHA(projectID int64, branch string) (string, error) {
	var sha string
	err := t.value(&sha, "SELECT sha FROM branches WHERE project_id = ? AND name = ?", projectID, branch)
	return sha, err
}

// commit writes files to a branch, made where it is missing, from the default
// branch unless this is the first commit. The default branch is protected.
func (c *call) commit(p *project, branch, text string, changes []fileChange) error {
	parent, err := c.branchSHA(p.ID, branch)
	if errors.Is(err, sql.ErrNoRows) {
		parent, err = c.startBranch(p, branch)
	}
	if err != nil {
		return err
	}
	sum := sha1.Sum(append(randomBytes(16), parent...)) //nolint:gosec // see above
	sha := hex.EncodeToString(sum[:])
	err = errors.Join(c.exec("INSERT INTO commits (sha, project_id, parent, message, author_id, created_at) VALUES (?, ?, ?, ?, ?, ?)", sha, p.ID, parent, text, c.caller.ID, at(c.now)),
		c.exec(`INSERT INTO branches (project_id, name, sha, protected) VALUES (?, ?, ?, ?)
			ON CONFLICT (project_id, name) DO UPDATE SET sha = excluded.sha`, p.ID, branch, sha, branch == p.DefaultBranch))
	for _, change := range changes {
		if change.remove {
			err = errors.Join(err, c.exec("DELETE FROM files WHERE project_id = ? AND branch = ? AND path = ?", p.ID, branch, change.path))
			continue
		}
		err = errors.Join(err, c.exec(`INSERT INTO files (project_id, branch, path, content, last_commit) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (project_id, branch, path) DO UPDATE SET content = excluded.content, last_commit = excluded.last_commit`, p.ID, branch, change.path, change.content, sha))
	}
	if err != nil {
		return err
	}
	return c.pipelineForPush(p, branch, text)
}

func (c *call) startBranch(p *project, branch string) (string, error) {
	head, err := c.branchSHA(p.ID, p.DefaultBranch)
	if errors.Is(err, sql.ErrNoRows) {
		return "0000000000000000000000000000000000000000", nil
	}
	if err != nil {
		return "", err
	}
	return head, c.exec(`INSERT INTO files (project_id, branch, path, content, last_commit)
		SELECT project_id, ?, path, content, last_commit FROM files WHERE project_id = ? AND branch = ?`, branch, p.ID, p.DefaultBranch)
}

// fileEntity is GET /projects/:id/repository/files/:file_path.
type fileEntity struct {
	Name         string `json:"file_name"`
	Path         string `json:"file_path"`
	Size         int    `json:"size"`
	Encoding     string `json:"encoding"`
	Ref          string `json:"ref"`
	BlobID       string `json:"blob_id"`
	CommitID     string `json:"commit_id"`
	LastCommitID string `json:"last_commit_id"`
	Content      string `json:"content"`
}

var (
	writeFileParams = takes(need("branch", text), need("commit_message", text), need("content", text), may("encoding", text, "text", "base64"),
		may("start_branch", text), may("last_commit_id", text))
	deleteFileParams = takes(need("branch", text), need("commit_message", text))
	refParams        = takes(may("ref", text))
	lastSlash        = lazyregexp.New(`[^/]*$`)
)

// fileWritten is the answer to a created or updated file.
type fileWritten struct {
	FilePath string `json:"file_path"`
	Branch   string `json:"branch"`
}

func postFile(c *call) (answer, error) { return c.writeFile(false) }
func putFile(c *call) (answer, error)  { return c.writeFile(true) }

func (c *call) writeFile(update bool) (answer, error) {
	p, err := c.needProject("id", levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	there, err := c.exists("SELECT 1 FROM files WHERE project_id = ? AND branch = ? AND path = ?", p.ID, c.text("branch"), c.vars["file_path"])
	switch {
	case err != nil:
		return answer{}, err
	case there && !update:
		return answer{}, message(http.StatusBadRequest, "A file with this name already exists")
	case !there && update:
		return answer{}, message(http.StatusBadRequest, "A file with this name doesn't exist")
	}
	content := []byte(c.text("content"))
	if c.text("encoding") == "base64" {
		if content, err = base64.StdEncoding.DecodeString(c.text("content")); err != nil {
			return answer{}, badRequest("content is not base64")
		}
	}
	if err := c.commit(&p, c.text("branch"), c.text("commit_message"), []fileChange{{c.vars["file_path"], content, false}}); err != nil {
		return answer{}, err
	}
	status := http.StatusCreated
	if update {
		status = http.StatusOK
	}
	return answer{status: status, body: fileWritten{c.vars["file_path"], c.text("branch")}}, nil
}

func deleteFile(c *call) (answer, error) {
	p, err := c.needProject("id", levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	if _, err := c.readFile(&p, c.text("branch")); err != nil {
		return answer{}, err
	}
	if err := c.commit(&p, c.text("branch"), c.text("commit_message"), []fileChange{{c.vars["file_path"], nil, true}}); err != nil {
		return answer{}, err
	}
	return noContent()
}

type storedFile struct {
	content []byte
	commit  string
}

func scanFile(sc scanner) (storedFile, error) {
	var f storedFile
	err := sc.Scan(&f.content, &f.commit)
	return f, err
}

func (t *tx) fileAt(projectID int64, branch, path string) (storedFile, error) {
	return row(t, scanFile, "SELECT content, last_commit FROM files WHERE project_id = ? AND branch = ? AND path = ?", projectID, branch, path)
}

func (c *call) readFile(p *project, ref string) (storedFile, error) {
	f, err := c.fileAt(p.ID, ref, c.vars["file_path"])
	return f, missing(err, notFound("File"))
}

func (c *call) refOr(p *project) string {
	if ref := c.text("ref"); ref != "" && ref != "HEAD" {
		return ref
	}
	return p.DefaultBranch
}

func getFile(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	f, err := c.readFile(&p, c.refOr(&p))
	if err != nil {
		return answer{}, err
	}
	sum := sha1.Sum(f.content) //nolint:gosec // see above
	return ok(fileEntity{Name: lastSlash.FindString(c.vars["file_path"]), Path: c.vars["file_path"], Size: len(f.content), Encoding: "base64", Ref: c.refOr(&p),
		BlobID: hex.EncodeToString(sum[:]), CommitID: f.commit, LastCommitID: f.commit, Content: base64.StdEncoding.EncodeToString(f.content)})
}

func getRawFile(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	f, err := c.readFile(&p, c.refOr(&p))
	if f.content == nil {
		f.content = []byte{}
	}
	return answer{status: http.StatusOK, raw: f.content, contentType: "text/plain"}, err
}

// branchEntity is a branch in lists.
type branchEntity struct {
	Name      string            `json:"name"`
	Protected bool              `json:"protected"`
	Default   bool              `json:"default"`
	Commit    map[string]string `json:"commit"`
}

func getBranches(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	found, err := page(c, c.scanBranch(&p), "name, protected, sha", "branches WHERE project_id = ?", "name", p.ID)
	if err != nil {
		return answer{}, err
	}
	return ok(nonNil(found))
}

func (c *call) scanBranch(p *project) func(scanner) (branchEntity, error) {
	return func(sc scanner) (branchEntity, error) {
		var b branchEntity
		var sha string
		err := sc.Scan(&b.Name, &b.Protected, &sha)
		b.Default, b.Commit = b.Name == p.DefaultBranch, map[string]string{"id": sha, "short_id": sha[:min(8, len(sha))]}
		return b, err
	}
}
