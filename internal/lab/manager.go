package lab

import (
	"database/sql"
	"errors"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// manager is one process that uses a runner's token.
type manager struct {
	ID            int64
	RunnerID      int64
	SystemID      string
	Version       string
	Revision      string
	Platform      string
	Architecture  string
	Executor      string
	IPAddress     string
	Features      jsonColumn[map[string]bool]
	CreationState string
	ContactedAt   stamp
	CreatedAt     stamp
}

// legacySystemID stands for runners that send none.
const legacySystemID = "<legacy>"

const maxSystemID = 64

const managerColumns = `m.id, m.runner_id, m.system_id, m.version, m.revision, m.platform, m.architecture, m.executor, m.ip_address, m.features,
	m.creation_state, m.contacted_at, m.created_at`

func scanManager(sc scanner) (manager, error) {
	var m manager
	err := sc.Scan(&m.ID, &m.RunnerID, &m.SystemID, &m.Version, &m.Revision, &m.Platform, &m.Architecture, &m.Executor, &m.IPAddress, &m.Features,
		&m.CreationState, &m.ContactedAt, &m.CreatedAt)
	return m, err
}

func (t *tx) managerBySystemID(runnerID int64, systemID string) (manager, error) {
	return row(t, scanManager, "SELECT "+managerColumns+" FROM managers m WHERE m.runner_id = ? AND m.system_id = ?", runnerID, systemID)
}

// contact is what a request says about the process that sent it.
type contact struct {
	systemID string
	info     map[string]any // nil when none was sent
	ip       string
}

func contactFrom(c *call, systemID string) contact {
	if systemID == "" {
		systemID = legacySystemID
	}
	info, _ := c.params["info"].(map[string]any)
	return contact{systemID, info, clientIP(c)}
}

// clientIP is the first address of X-Forwarded-For, else the connection's.
func clientIP(c *call) string { return remoteIP(c.r) }

func remoteIP(r *http.Request) string {
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); strings.TrimSpace(first) != "" {
		return strings.TrimSpace(first)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// meet records that a manager called: its row is made at first sight. touches
// says whether contact times move, polled whether it asked for a job, which
// ends the creation of runner and manager.
func (t *tx) meet(r *runner, from contact, touches, polled bool) error {
	if utf8.RuneCountInString(from.systemID) > maxSystemID {
		return errors.New("system_id is longer than 64 characters") // GitLab's create raises: 500
	}
	m, err := t.managerBySystemID(r.ID, from.systemID)
	if errors.Is(err, sql.ErrNoRows) {
		m, err = t.insertManager(r, from)
	}
	if err != nil {
		return err
	}
	if !touches {
		return nil
	}
	if polled && (r.CreationState != stateFinished || m.CreationState != stateFinished) {
		r.CreationState, m.CreationState = stateFinished, stateFinished
		if err := errors.Join(t.exec("UPDATE runners SET creation_state = ? WHERE id = ?", stateFinished, r.ID),
			t.exec("UPDATE managers SET creation_state = ? WHERE id = ?", stateFinished, m.ID)); err != nil {
			return err
		}
	}
	return t.heartbeat(r, &m, from)
}

func (t *tx) insertManager(r *runner, from contact) (manager, error) {
	m := manager{RunnerID: r.ID, SystemID: from.systemID, CreationState: stateStarted, CreatedAt: at(t.now)}
	if !t.has(verifyTouchesCreated) {
		m.CreationState = stateFinished // older versions derive never_contacted from the contact time alone
	}
	m.describe(from)
	var err error
	m.ID, err = t.insert(`INSERT INTO managers (runner_id, system_id, version, revision, platform, architecture, executor, ip_address, features, creation_state,
		created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, m.RunnerID, m.SystemID, m.Version, m.Revision, m.Platform, m.Architecture, m.Executor,
		m.IPAddress, m.Features, m.CreationState, m.CreatedAt)
	return m, err
}

// describe takes version, platform and so on from info, where it was sent.
func (m *manager) describe(from contact) {
	if from.ip != "" {
		m.IPAddress = from.ip
	}
	for key, field := range map[string]*string{"version": &m.Version, "revision": &m.Revision, "platform": &m.Platform,
		"architecture": &m.Architecture, "executor": &m.Executor} {
		if word, given := from.info[key].(string); given {
			*field = word
		}
	}
	features, given := from.info["features"].(map[string]any)
	if !given {
		return
	}
	m.Features.V = map[string]bool{}
	for name, value := range features {
		m.Features.V[name], _ = value.(bool)
	}
}

// differs reports whether the description changed. GitLab shows a changed one at
// once from its cache; the lab writes it.
func (m *manager) differs(before *manager) bool {
	return m.Version != before.Version || m.Revision != before.Revision || m.Platform != before.Platform ||
		m.Architecture != before.Architecture || m.Executor != before.Executor || !maps.Equal(m.Features.V, before.Features.V)
}

// heartbeat keeps the contact in memory, and writes it when none was written yet,
// the written one is older than the pair's throttle, or the description changed.
func (t *tx) heartbeat(r *runner, m *manager, from contact) error {
	key := managerKey{r.ID, m.SystemID}
	written := m.ContactedAt.Time
	before := *m
	m.describe(from)
	if due(key, written, t.now) || m.differs(&before) {
		written = t.now
		err := t.exec(`UPDATE managers SET version = ?, revision = ?, platform = ?, architecture = ?, executor = ?, ip_address = ?, features = ?, contacted_at = ?
			WHERE id = ?`, m.Version, m.Revision, m.Platform, m.Architecture, m.Executor, m.IPAddress, m.Features, at(t.now), m.ID)
		if err != nil {
			return err
		}
	}
	if due(managerKey{r.ID, ""}, r.ContactedAt.Time, t.now) {
		if err := t.exec("UPDATE runners SET contacted_at = ? WHERE id = ?", at(t.now), r.ID); err != nil {
			return err
		}
	}
	now := t.now
	t.onCommit(func() { t.queue.seen(key, now, written) })
	return nil
}

// throttle is how old a written contact must be to be written again: GitLab
// draws 40 to 55 minutes at random, the lab derives them from the pair, so that
// a test can tell.
func throttle(key managerKey) time.Duration {
	spread := key.runner * 7919
	for _, b := range []byte(key.systemID) {
		spread = spread*31 + int64(b)
	}
	return 40*time.Minute + time.Duration(uint64(spread)%900)*time.Second
}

func due(key managerKey, written, now time.Time) bool {
	return written.IsZero() || now.Sub(written) >= throttle(key)
}
