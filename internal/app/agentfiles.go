package app

import (
	"errors"
	"os"
	"time"

	"rekey"
	"rekey/internal/agent"
	"rekey/internal/configtoml"
	"rekey/internal/diagnose"
	"rekey/internal/host"
)

// agentFiles is agent.Files on this machine. Of a config it keeps where the TLS files
// are, and nothing else.
type agentFiles struct {
	app   *App
	host  host.Host
	patch bool // a tool's config is edited all the same
	tls   map[string][]diagnose.TLSFiles
}

// settles is how old a file's time must be before an equal one means that nobody has
// written since: clocks of file systems tick slowly.
const settles = 2 * time.Second

// Stamp looks at the file alone.
func (f *agentFiles) Stamp(path string) (agent.Stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return agent.Stamp{}, rekey.Errorf(rekey.KindNotFound, "%w", err).WithHint("gitlab-runner makes it with the first `register`")
	}
	s := agent.Stamp{ModTime: info.ModTime().UnixNano(), Size: info.Size()}
	if now := f.app.Now(); now.Sub(info.ModTime()) < settles && info.ModTime().Before(now.Add(settles)) {
		s.Unsettled = now.UnixNano()
	}
	return s, nil
}

// Sections reads the config as gitlab-runner would.
func (f *agentFiles) Sections(path string) ([]agent.Section, error) {
	file, err := f.host.Read(path)
	if err != nil && !errors.Is(err, host.ErrEmpty) {
		return nil, err
	}
	doc, err := configtoml.Parse(file.Data)
	if err != nil {
		return nil, err
	}
	if doc.Len() == 0 { // or it is being written
		return nil, rekey.Errorf(rekey.KindInvalid, "%s has no [[runners]]", path).WithHint("`rekey register` or `gitlab-runner register` adds one")
	}
	var sections []agent.Section
	var tls []diagnose.TLSFiles
	for _, s := range doc.Sections() {
		one := agent.Section{Config: path, Name: s.Name, Index: s.Index, URL: s.URL, RunnerID: s.ID, Token: s.Token, ObtainedAt: s.ObtainedAt, ExpiresAt: s.ExpiresAt}
		if file.Generated != "" && !f.patch {
			one.Keeper, one.KeeperNext = file.Generated, f.host.SourceOf(file)
		}
		f.app.sawNew(s.Token)
		sections = append(sections, one)
		tls = append(tls, diagnose.TLSFiles{CA: s.TLSCAFile, Cert: s.TLSCertFile, Key: s.TLSKeyFile})
	}
	f.tls[path] = tls
	return sections, nil
}

func (f *agentFiles) tlsOf(s agent.Section) diagnose.TLSFiles {
	if all := f.tls[s.Config]; s.Index < len(all) {
		return all[s.Index]
	}
	return diagnose.TLSFiles{}
}
