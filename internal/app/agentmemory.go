package app

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekey/internal/agent"
	"rekey/internal/durable"
)

// agentMemory is agent.Memory in a directory of the state directory that several
// agents may share: fingerprints, never a token.
type agentMemory struct{ dir string }

// remembered is one line of the file.
type remembered struct {
	Config  string `json:"config"`
	Section string `json:"section"`
	Ref     string `json:"ref"`
	agent.Agreed
}

func (m agentMemory) path() string { return filepath.Join(m.dir, "agreed.json") }

// Load returns nothing where there is no file yet.
func (m agentMemory) Load() (map[agent.Key]agent.Agreed, error) {
	known := map[agent.Key]agent.Agreed{}
	data, err := os.ReadFile(m.path())
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	var list []remembered
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		known[agent.Key{Config: r.Config, Section: r.Section, Ref: r.Ref}] = r.Agreed
	}
	return known, nil
}

// Save writes the file anew, with what other agents wrote meanwhile.
func (m agentMemory) Save(changed map[agent.Key]agent.Agreed) error {
	if err := durable.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	unlock, err := durable.LockDir(m.dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, _, err := durable.CleanStale(m.dir); err != nil {
		return err
	}
	known, err := m.Load()
	if err != nil { // what cannot be read is made anew: GitLab decides where it is missing
		known = map[agent.Key]agent.Agreed{}
	}
	maps.Copy(known, changed)
	list := make([]remembered, 0, len(known))
	for key, agreed := range known {
		list = append(list, remembered{key.Config, key.Section, key.Ref, agreed})
	}
	slices.SortFunc(list, func(a, b remembered) int {
		return strings.Compare(a.Config+"\x00"+a.Section+"\x00"+a.Ref, b.Config+"\x00"+b.Section+"\x00"+b.Ref)
	})
	data, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	return durable.Call("agent.agreed", func() error { return durable.Write(m.path(), append(data, '\n'), 0o600) })
}
