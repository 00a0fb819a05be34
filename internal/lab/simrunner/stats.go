package simrunner

// Stats is what the process did since New.
type Stats struct {
	Polls    uint64 // requests for jobs sent
	Refused  uint64 // of these answered 403
	Jobs     uint64 // jobs taken
	Sections []SectionStats
}

// SectionStats is the same for one section of the config in force, in file
// order. A section keeps its numbers across reloads while URL and token stay.
type SectionStats struct {
	Name     string
	URL      string
	Polls    uint64
	Refused  uint64
	Jobs     uint64
	Disabled bool // refused too often; polled again after unhealthy_interval
}

// Stats returns the counts at this moment.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Stats{Polls: r.total.polls, Refused: r.total.refused, Jobs: r.total.jobs}
	for _, s := range r.sections {
		s.mu.Lock()
		st.Sections = append(st.Sections, SectionStats{
			Name: s.config.Name, URL: s.config.URL,
			Polls: s.seen.polls, Refused: s.seen.refused, Jobs: s.seen.jobs,
			Disabled: s.failures >= s.config.unhealthyLimit(),
		})
		s.mu.Unlock()
	}
	return st
}

// count adds one poll and what came of it.
func (r *Runner) count(s *section, refused, job bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []*counters{&r.total, &s.seen} {
		c.polls++
		if refused {
			c.refused++
		}
		if job {
			c.jobs++
		}
	}
}
