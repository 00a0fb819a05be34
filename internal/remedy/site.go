package remedy

import (
	"fmt"
	"strings"

	"rekey"
	"rekey/internal/configtoml"
)

// site is one section that an operation gives the token to: the target's own, or
// another that holds the same token.
type site struct {
	rekey.Place
	n         int       // 0 is the target's own
	delivered *delivery // what the last edit of the deliver step says in the journal
}

func (op *operation) makeSites() {
	t := op.target
	if t.Afar() {
		return
	}
	op.sites = []*site{{Place: rekey.Place{Config: t.Config, Index: t.Index, Name: t.Name, Before: t.Before}}}
	for i, p := range t.Also {
		op.sites = append(op.sites, &site{Place: p, n: i + 1})
	}
}

// edited reports whether an edit of the deliver step was begun anywhere.
func (op *operation) edited() bool {
	for _, s := range op.sites {
		if s.delivered != nil {
			return true
		}
	}
	return false
}

// overlaps reports whether the operation makes a second record that takes the first
// one's place.
func (op *operation) overlaps() bool { return retiring(op.target.Remedy) }

func retiring(r rekey.Remedy) bool { return r == rekey.RemedyOverlap || r == rekey.RemedyRollout }

// secondName is what the second section is called until it takes the first's place.
func (op *operation) secondName(s *site) string { return s.Name + " " + op.id.Marker() }

// begunBeside reports whether a second section stands right above this one: a
// rotation of it is open. One that is not in the journals at hand is another rekey's,
// or was begun with another state directory.
func begunBeside(doc *configtoml.Document, index int) bool {
	sections := doc.Sections()
	return index > 0 && sections[index-1].URL == sections[index].URL &&
		strings.HasPrefix(sections[index-1].Name, sections[index].Name+" "+rekey.Operation("").Marker())
}

// pair finds both sections of an overlap: -1 for one that is not there. The old one
// is told by its token, or by its id where gitlab-runner has rotated that token by
// itself meanwhile; it has the new token beside a second one that waits where an agent
// of this host has brought it from a store.
func pair(doc *configtoml.Document, op *operation, s *site) (old, second int) {
	old, second = -1, -1
	renewed, brought := -1, -1
	for i, section := range doc.Sections() {
		named := section.Name == s.Name && section.URL == op.target.URL
		switch fresh := !op.issued.Token.IsZero() && section.Token == op.issued.Token; {
		case fresh && named && second >= 0 && op.waits(doc, s, second):
			brought = i
		case fresh:
			second = i
		case named && section.Token.Fingerprint() == s.Before && (old < 0 || i == s.Index):
			old = i
		case named && section.ID != 0 && section.ID == op.target.RunnerID:
			renewed = i
		}
	}
	for _, other := range []int{brought, renewed} {
		if old < 0 {
			old = other
		}
	}
	return old, second
}

// waits reports whether the second section has not taken the first one's place yet.
func (op *operation) waits(doc *configtoml.Document, s *site, second int) bool {
	return doc.Sections()[second].Name == op.secondName(s)
}

// usurped reports whether somebody put another token into the old section: what
// comes right behind the second one is called and addressed as it was.
func (op *operation) usurped(doc *configtoml.Document, s *site, second int) bool {
	sections := doc.Sections()
	if second+1 >= len(sections) {
		return false
	}
	behind := sections[second+1]
	return behind.Name == s.Name && behind.URL == op.target.URL && behind.ID == 0
}

// locate finds the site's section by the token it had when the plan was made;
// the index decides between equals. present says that it has the new token. A
// token that was made for it is in no other section; one that was not made may
// be, so there the target's own place is looked at first.
func locate(doc *configtoml.Document, op *operation, s *site) (index int, present bool, err error) {
	sections := doc.Sections()
	found := -1
	for i, section := range sections {
		same := section.Name == s.Name && section.URL == op.target.URL && section.Token.Fingerprint() == s.Before
		if same && (found < 0 || i == s.Index) {
			found = i
		}
	}
	if found >= 0 && found == s.Index && (op.given() || op.target.Remedy == rekey.RemedyRewrite) {
		return found, false, nil
	}
	own := -1 // a token that was not made for it may be in several
	for i, section := range sections {
		fresh := !op.issued.Token.IsZero() && section.Token == op.issued.Token && (op.target.NewURL == "" || section.URL == op.target.NewURL)
		if fresh && (own < 0 || section.Name == s.Name && (sections[own].Name != s.Name || i == s.Index)) {
			own = i
		}
	}
	if own >= 0 {
		return own, true, nil
	}
	if found < 0 && op.target.NewURL != "" && op.issued.Token.IsZero() {
		return mended(sections, op, s)
	}
	if found < 0 {
		return 0, false, errStop{
			reason: fmt.Sprintf("%s no longer has the section %q as it was when the plan was made", s.Config, s.Name),
			next:   "run `rekey doctor` to see what changed; a token already received stays sealed in the journal",
		}
	}
	return found, false, nil
}

func mended(sections []configtoml.Section, op *operation, s *site) (int, bool, error) {
	for i, section := range sections {
		if section.Token.Fingerprint() == s.Before && section.URL == op.target.NewURL {
			return i, true, nil
		}
	}
	return 0, false, errStop{reason: fmt.Sprintf("%s no longer has the section %q", s.Config, s.Name), next: "run `rekey doctor`"}
}

// section returns the site's section as the file has it now.
func (e *Engine) section(op *operation, s *site) (configtoml.Section, error) {
	var section configtoml.Section
	err := e.look(s.Config, func(doc *configtoml.Document) error {
		i, _, err := locate(doc, op, s)
		if err == nil {
			section = doc.Sections()[i]
		}
		return err
	})
	return section, err
}
