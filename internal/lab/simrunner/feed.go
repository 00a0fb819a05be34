package simrunner

import (
	"context"
	"fmt"
	"time"
)

// feed polls every section once per check_interval, evenly spread, from one
// goroutine; a poll that waits for its answer, or runs its job, has its own. It
// blocks while `concurrent` is used up, as gitlab-runner's feeder does. ctx is
// the process, feeding ends earlier when it drains.
func (r *Runner) feed(ctx, feeding context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for feeding.Err() == nil {
		c, sections, changed := r.snapshot()
		interval := c.checkInterval()
		round := r.opts.Now()
		for i, s := range sections {
			due := round.Add(interval / time.Duration(len(sections)) * time.Duration(i))
			if !r.sleep(feeding, changed, timer, due) {
				break
			}
			r.offer(ctx, feeding, s)
		}
		r.sleep(feeding, changed, timer, round.Add(interval))
	}
}

// sleep waits until due and reports whether to go on with the round: not when
// the config changed or the feeding ended.
func (r *Runner) sleep(ctx context.Context, changed <-chan struct{}, timer *time.Timer, due time.Time) bool {
	timer.Reset(due.Sub(r.opts.Now()))
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return false
	case <-timer.C:
		return true
	}
}

// offer polls s in a goroutine of its own, if its health allows it.
func (r *Runner) offer(ctx, feeding context.Context, s *section) {
	if s.blank() && r.opts.Version.AtLeast(19, 1) {
		return
	}
	ok, forced := s.healthy(r.opts.Now())
	if forced {
		r.logForced(s)
	}
	if !ok || !r.slots.acquire(feeding) {
		return
	}
	r.jobs.Go(func() { r.work(ctx, feeding, s) })
}

// work holds one slot: it asks for a job and runs it. A job taken makes the
// section ask again at once if another slot is free.
func (r *Runner) work(ctx, feeding context.Context, s *section) {
	defer r.slots.release()
	if !s.beginRequest() {
		return
	}
	j := r.ask(ctx, s)
	if j == nil {
		s.endRequest()
		return
	}
	n := s.beginBuild()
	s.endRequest()
	defer s.endBuild(n)
	strict := s.config.StrictCheckInterval != nil && *s.config.StrictCheckInterval
	if !strict && feeding.Err() == nil && r.slots.tryAcquire() {
		r.jobs.Go(func() { r.work(ctx, feeding, s) })
	}
	r.execute(ctx, s, j, n)
}

// ask sends one POST /jobs/request and draws the consequences: health, log
// lines, patience. It returns the job, or nil.
func (r *Runner) ask(ctx context.Context, s *section) *job {
	a := r.client.requestJob(ctx, s)
	if ctx.Err() != nil && a.job == nil {
		return nil
	}
	r.count(s, a.kind == refused, a.job != nil)
	s.told(a.lastUpdate)
	now := r.opts.Now()
	s.patience(!a.impatient, a.retryAfter, now)
	r.logAnswer(s, a)
	if s.judge(a.kind != refused && a.kind != badURL, now) {
		r.logDisabled(s)
	}
	return a.job
}

func (r *Runner) logAnswer(s *section, a pollAnswer) {
	fields := r.fields(s)
	if a.kind != refused || r.opts.Version.AtLeast(16, 5) {
		fields = append(fields, field{"status", a.status})
	}
	switch a.kind {
	case received:
		r.log.info("Checking for jobs... received", append(r.fields(s), field{"job", a.job.ID}, field{"repo_url", cleanURL(a.job.GitInfo.RepoURL)})...)
	case refused:
		r.log.error("Checking for jobs... forbidden", fields...)
	case badURL:
		word := "client error"
		if !r.opts.Version.AtLeast(16, 5) {
			word = "error"
		}
		r.log.error("Checking for jobs... "+word, fields...)
	case unavailable:
		if r.opts.Version.AtLeast(18, 3) {
			r.log.warn("Checking for jobs... GitLab instance currently unavailable", fields...)
			return
		}
		r.log.warn("Checking for jobs... failed", fields...)
	case failed:
		r.log.warn("Checking for jobs... failed", fields...)
	}
}

func (r *Runner) logDisabled(s *section) {
	limit, interval := s.config.unhealthyLimit(), s.config.unhealthyInterval()
	if !r.opts.Version.AtLeast(15, 7) {
		r.log.error(fmt.Sprintf("Runner %s is not healthy and will be disabled!", r.uniqueID(s)))
		return
	}
	r.log.error(fmt.Sprintf("Runner %q is unhealthy and will be disabled for %s seconds!", r.uniqueID(s), interval),
		field{"unhealthy_requests", limit}, field{"unhealthy_requests_limit", limit})
}

func (r *Runner) logForced(s *section) {
	if !r.opts.Version.AtLeast(15, 7) {
		r.log.error(fmt.Sprintf("Runner %s is not healthy, but will be checked!", r.uniqueID(s)))
		return
	}
	r.log.warn(fmt.Sprintf("Runner %q is not healthy, but check for a new job will be forced!", r.uniqueID(s)),
		field{"unhealthy_interval", s.config.unhealthyInterval()})
}

func (r *Runner) fields(s *section) []field {
	fields := []field{{"runner", r.short(s)}}
	if r.opts.Version.AtLeast(18, 9) {
		fields = append(fields, field{"runner_name", s.config.Name})
	}
	return fields
}

func (r *Runner) short(s *section) string { return shortToken(s.config.token, r.opts.Version) }

// uniqueID is how health lines name a section: URL and short token.
func (r *Runner) uniqueID(s *section) string { return s.config.URL + r.short(s) }
