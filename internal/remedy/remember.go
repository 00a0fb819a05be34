package remedy

import (
	"slices"

	"rekey"
	"rekey/internal/diagnose"
)

// Memory is what is known of a section's record from before its GitLab was put
// back, upgraded or lost its secrets.
type Memory struct {
	// Attributes are those that the record had; nil: not known.
	Attributes *rekey.Attributes
	// Same: the record that has the id now is certainly the section's own.
	Same bool
	// Foreign: it is certainly another one, and is not touched.
	Foreign bool
}

func (p *Planner) memory(s diagnose.Section) Memory {
	if p.Remembered == nil {
		return Memory{}
	}
	m, _ := p.Remembered(s.Config, s.Index)
	return m
}

func (p *Planner) remembers(s diagnose.Section) bool {
	if p.Remembered == nil {
		return true
	}
	_, known := p.Remembered(s.Config, s.Index)
	return known
}

// rememberedAttributes are those of a record that is gone, or whose id is
// another's now; one that is there tells its own.
func (p *Planner) rememberedAttributes(s diagnose.Section) *rekey.Attributes {
	m := p.memory(s)
	if m.Attributes == nil || s.Record.Lookup == diagnose.LookupFound && !m.Foreign {
		return nil
	}
	a := *m.Attributes
	a.Tags, a.Projects = slices.Clone(a.Tags), slices.Clone(a.Projects)
	unkept(&a, s.Name)
	return &a
}

// halted reports whether so many operations of this run failed that no further
// one is begun.
func (e *Engine) halted() bool {
	return e.Options.AbortAfter > 0 && e.failures.Load() >= int64(e.Options.AbortAfter)
}

// leaveRest ends operations that were not begun; what an earlier run began of
// them stays open.
func (e *Engine) leaveRest(rest []*operation, failed func(*operation, error)) {
	n := e.failures.Load()
	for _, op := range rest {
		failed(op, stop("find out why those failed, then give the same command again; a higher --abort-after goes on in spite of failures",
			"not begun, because %d before it failed or lost the answer to their reset", n))
	}
}
