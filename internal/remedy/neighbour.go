package remedy

import (
	"rekey"
	"rekey/internal/configtoml"
)

// Neighbour is a config beside those that were given, on which a gitlab-runner of
// the same machine runs.
type Neighbour struct {
	Name string // for people: the file and the process
	Data []byte
}

// neighbours is which other runners of this machine hold which token. GitLab cannot
// tell: runners of one machine may share its system id, and are then one manager.
type neighbours map[rekey.Token][]neighbourSection

type neighbourSection struct{ name, url string }

func (p *RotationPlanner) neighboursOf(paths []string) neighbours {
	if p.Neighbours == nil {
		return nil
	}
	held := neighbours{}
	for _, n := range p.Neighbours(paths) {
		doc, err := configtoml.Parse(n.Data)
		if err != nil {
			continue
		}
		for _, s := range doc.Sections() {
			held[s.Token] = append(held[s.Token], neighbourSection{n.Name, s.URL})
		}
	}
	return held
}

// beside refuses while another runner of this machine holds the token.
func (p *RotationPlanner) beside(h held) choice {
	for _, n := range p.others[h.token] {
		if p.SameGitLab(n.url, h.url) {
			return leave("give its config too, one --config for each: the new token then goes to all of them",
				"%s holds this token too, and would be locked out", n.name)
		}
	}
	return choice{}
}
