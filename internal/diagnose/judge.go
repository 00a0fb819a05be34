package diagnose

import (
	"net/url"
	"strings"
	"time"

	"rekey"
)

// Judge returns the report of f. It is a pure function: the order of configs and
// sections is kept, findings are sorted by severity, every list of the report is
// non-nil, and no text of it holds a token of f.
func Judge(f Facts) Report {
	c := newCourt(f)
	r := Report{
		Schema:   Schema,
		GitLab:   make([]ServerReport, 0, len(f.Servers)),
		Configs:  make([]ConfigReport, 0, len(f.Configs)),
		Sections: make([]SectionReport, 0, len(c.sections)),
	}
	for _, s := range f.Servers {
		r.GitLab = append(r.GitLab, serverReport(s))
	}
	for _, conf := range f.Configs {
		r.Configs = append(r.Configs, ConfigReport{Path: conf.Path, Host: conf.Host, Error: scrub(conf.Err), Sections: len(conf.Sections)})
	}
	for _, s := range c.sections {
		c.judge(s)
		r.Sections = append(r.Sections, s.report())
		r.Summary.count(s.verdict)
	}
	r.Findings = c.logFindings()
	r.Interrupted = f.Interrupted
	r.Notes = append(clockNotes(f.Servers), c.logNotes()...)
	return r
}

func serverReport(s Server) ServerReport {
	version := s.VersionText
	if version == "" && !s.Version.IsZero() {
		version = s.Version.String()
	}
	return ServerReport{
		URL: shownURL(s.URL), Version: version, ProfileEvidence: scrub(s.ProfileEvidence),
		UserToken: s.UserToken, UserTokenDetail: scrub(s.UserTokenDetail), ClockSkew: s.skewSeconds(),
	}
}

func (s *Summary) count(v rekey.Verdict) {
	switch v {
	case rekey.Valid:
		s.Valid++
	case rekey.Invalid:
		s.Invalid++
	default:
		s.Unknown++
	}
}

// court is what the judgement of one section may look at beyond the section.
type court struct {
	Facts
	sections []*section
	servers  map[string]*Server     // by base
	sharing  map[rekey.Token]*share // by effective token
	bases    map[string]bool        // base URLs of the sections

	gatherings map[string]*gathering // by base; see gathered
}

// section is one Section under judgement.
type section struct {
	Section
	config    *Config // that it stands in
	lex       rekey.Lexical
	reference bool        // its token or URL refers to the environment
	token     rekey.Token // what a probe carries: Expanded, or the text itself
	base      string      // of the URL a probe goes to
	server    *Server     // nil when the collector knows nothing of it
	now       time.Time   // of the judgement

	verdict  rekey.Verdict
	findings []rekey.Finding
	untold   []string
}

func newCourt(f Facts) *court {
	c := &court{
		Facts:   f,
		servers: map[string]*Server{},
		sharing: map[rekey.Token]*share{},
		bases:   map[string]bool{},
	}
	for i := range f.Servers {
		c.servers[baseURL(f.Servers[i].URL)] = &f.Servers[i]
	}
	for i := range f.Configs {
		for _, s := range f.Configs[i].Sections {
			c.add(&f.Configs[i], s)
		}
	}
	return c
}

func (c *court) add(config *Config, facts Section) {
	s := &section{Section: facts.cleaned(), config: config, lex: facts.Token.Lexical(), token: facts.Token, now: c.Now, verdict: rekey.Unknown}
	s.reference = s.lex.Kind == rekey.TokenReference || len(rekey.References(s.URL)) > 0
	address := s.URL
	if s.reference && s.Expanded != nil {
		s.token, address = *s.Expanded, s.ExpandedURL
	}
	s.base = baseURL(address)
	s.server = c.servers[s.base]
	c.sections = append(c.sections, s)
	if s.token.Lexical().Sendable {
		if c.sharing[s.token] == nil {
			c.sharing[s.token] = &share{}
		}
		c.sharing[s.token].add(s)
	}
	if s.base != "" {
		c.bases[s.base] = true
	}
}

// judge decides in the order in which one kind of evidence overrules the next:
// the text, the environment, then GitLab's answer.
func (c *court) judge(s *section) {
	switch {
	case s.Registers():
		c.judgeRegistering(s)
	case !s.lex.Sendable && s.lex.Kind != rekey.TokenReference:
		s.verdict = rekey.Invalid
		c.judgeText(s)
	case s.reference && (s.Expanded == nil || len(s.Unset) > 0):
		c.judgeUnset(s)
	case s.reference:
		c.judgeExpanded(s)
	default:
		s.verdict = s.Answer.Verdict()
		c.judgeAnswer(s)
	}
	c.judgeSharing(s)
	c.judgeInForce(s)
	s.judgeLegacyField()
	c.judgeLogs(s)
	c.judgeTogether(s)
	if s.verdict == rekey.Valid {
		c.judgeValid(s)
	}
	s.judgeMaintenance()
	s.pointThere()
	s.pointToSource()
	s.findings = arrange(s.findings)
}

func (s *section) report() SectionReport {
	id := s.RunnerID
	if id == 0 {
		id = s.Answer.RunnerID
	}
	return SectionReport{
		Config: s.Config, Host: s.config.Host, Index: s.Index, Line: s.Line, Name: s.Name, URL: shownURL(s.URL),
		RunnerID: id, Token: s.Token, Verdict: s.verdict, Findings: s.findings,
		Untold: strings.Join(s.untold, " "),
	}
}

// serverNow is the server's time at the moment of the judgement's answer, and
// whether the server itself told it.
func (s *section) serverNow() (time.Time, bool) {
	switch {
	case !s.Answer.ServerTime.IsZero():
		return s.Answer.ServerTime, true
	case s.server != nil && !s.server.ServerTime.IsZero():
		return s.server.now(s.now), true
	}
	return s.now, false
}

// now is the server's time at the local time given.
func (s *Server) now(local time.Time) time.Time {
	if s.ReadAt.IsZero() || local.Before(s.ReadAt) {
		return s.ServerTime
	}
	return s.ServerTime.Add(local.Sub(s.ReadAt))
}

// expired reports whether the date in the file is past, and whether that is by
// the server's clock.
func (s *section) expired() (past, byServer bool) {
	now, byServer := s.serverNow()
	return !s.ExpiresAt.IsZero() && s.ExpiresAt.Before(now), byServer
}

// record returns GitLab's record of this token's runner, nil when there is none, or
// when GitLab or the token's own text says that the token is another runner's.
func (s *section) record() *Record {
	if s.Record.Lookup != LookupFound {
		return nil
	}
	if id := s.Answer.RunnerID; id != 0 && id != s.Record.Runner.ID {
		return nil
	}
	if hint := s.lexOfSent().Scope; s.accepted() && s.Answer.RunnerID == 0 && hint != "" && s.Record.Runner.Scope != "" && hint != s.Record.Runner.Scope {
		return nil // GitLab finds no token by a hint that contradicts its row
	}
	return &s.Record
}

// baseURL normalises a URL for comparison: scheme and host in lower case, no
// default port, no trailing slash and none of the "/ci" that gitlab-runner cuts
// off; "" when it is not a URL that can be requested.
func baseURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme == "" {
		return ""
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	path := strings.TrimRight(u.Path, "/")
	path = strings.TrimRight(strings.TrimSuffix(path, "/ci"), "/")
	return scheme + "://" + host + path
}

// urlProblem says why a URL cannot be requested, "" when it can.
func urlProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "the URL is empty"
	case strings.ContainsAny(text, "\"'`<>{} \t\r\n"):
		return "the URL holds quotes, white space or template marks"
	case err != nil:
		return "the URL cannot be parsed"
	case u.Scheme != "http" && u.Scheme != "https":
		return "the URL has no http or https scheme"
	case u.Host == "":
		return "the URL names no host"
	}
	return ""
}
