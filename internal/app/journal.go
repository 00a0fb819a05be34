package app

import (
	"time"

	"rekey"
	"rekey/internal/remedy"
)

// JournalSummary is what the journal of one operation says.
type JournalSummary = remedy.Summary

// Journal is what the state directory holds, as it was read.
type Journal struct {
	Dir        string
	Operations []JournalSummary // oldest run first
}

// Journal reads the journals of the state directory. It changes nothing, unseals
// nothing and takes no lock: a fix at work is seen as it goes.
func (a *App) Journal(in StateInput) (Journal, error) {
	dir, err := a.stateDir(in)
	if err != nil {
		return Journal{}, err
	}
	store, err := remedy.ReadStore(dir)
	if err != nil {
		return Journal{Dir: dir}, err
	}
	all, err := store.Summaries()
	return Journal{Dir: dir, Operations: all}, err
}

// Named returns the operations of a name: one of them, or all of a run.
func (j Journal) Named(name string) ([]JournalSummary, error) {
	var found []JournalSummary
	for _, s := range j.Operations {
		if string(s.Operation) == name || s.Run == name {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, rekey.Errorf(rekey.KindNotFound, "%s holds no journal named %q", j.Dir, name).WithHint("`rekey journal list` shows the names")
	}
	return found, nil
}

// JournalPrune is what a prune would remove, and what is old enough but stays.
type JournalPrune struct {
	Dir        string
	Gone, Stay []JournalSummary
}

// PruneJournal finds the journals that ended longer than age ago, and with remove
// deletes them, holding the lock of the state directory.
func (a *App) PruneJournal(in StateInput, age time.Duration, remove bool) (JournalPrune, error) {
	dir, err := a.stateDir(in)
	if err != nil {
		return JournalPrune{}, err
	}
	p := JournalPrune{Dir: dir}
	store, err := remedy.ReadStore(dir)
	if err != nil {
		return p, err
	}
	if remove {
		unlock, err := store.Lock()
		if err != nil {
			return p, err
		}
		defer unlock()
	}
	all, err := store.Summaries()
	if err != nil {
		return p, err
	}
	p.Gone, p.Stay = remedy.Prunable(all, a.Now(), age)
	if !remove {
		return p, nil
	}
	var ids []rekey.Operation
	for _, s := range p.Gone {
		ids = append(ids, s.Operation)
	}
	_, err = store.Remove(ids)
	return p, err
}
