package simrunner

import (
	"context"
	"errors"
	"time"
)

// Why a job's script is stopped before its end.
var (
	errTimeout  = errors.New("execution took too long")
	errCanceled = errors.New("canceled")
	errGone     = errors.New("the coordinator no longer knows the job")
)

// execute runs one job from acceptance to its final report. ctx is the process:
// when it ends, the script is killed and the job reported failed within
// shutdown_timeout.
func (r *Runner) execute(ctx context.Context, s *section, j *job, concurrentID int) {
	base, err := s.config.apiURL()
	if err != nil {
		return // the job came from there
	}
	c, _, _ := r.snapshot()
	telling, stop := outlive(ctx, c.shutdownTimeout())
	defer stop()

	vars := expanded(append(r.ownVariables(s, j, concurrentID), j.Variables...))
	secrets := append(j.secrets(vars), s.config.token.Reveal())
	t := newTrace(secrets, j.Features.TokenMaskPrefixes, s.config.traceLimit())
	rep := newReporter(r.client, base, s.config, j, t)
	if r.opts.Version.AtLeast(18, 5) {
		if o := rep.running(telling); o == abort {
			return
		}
	}
	b := &build{job: j, vars: vars, trace: t, dir: r.buildDir(s, j, concurrentID), environment: s.config.Environment}
	r.preamble(s, t)
	r.report(telling, rep, r.run(ctx, telling, rep, b), s)
}

// run starts the script and reports its output until it ended. It owns the
// script's goroutine and waits for it.
func (r *Runner) run(ctx, telling context.Context, rep *reporter, b *build) result {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan result, 1)
	go func() { done <- b.run(ctx, running) }()
	timer := time.NewTimer(rep.interval)
	defer timer.Stop()
	quiet := time.Duration(0)
	for {
		select {
		case res := <-done:
			return res
		case <-timer.C:
			o, sent := rep.patch(telling)
			if quiet += rep.interval; sent {
				quiet = 0
			} else if quiet >= keepAlive {
				o, quiet = rep.running(telling), 0
			}
			switch o {
			case abort:
				stop(errGone)
			case cancel:
				stop(errCanceled)
			}
			timer.Reset(rep.interval)
		}
	}
}

// report writes the last line of the trace and tells the final state.
func (r *Runner) report(ctx context.Context, rep *reporter, res result, s *section) {
	fields := append(r.fields(s), field{"job", rep.job.ID}, field{"project", rep.job.JobInfo.ProjectID})
	if res.reason == "gone" {
		r.log.warn("script canceled externally (UI, API)", fields...)
		return
	}
	rep.trace.finish()
	switch o := rep.finish(ctx, res); {
	case o == abort:
		r.log.warn("Submitting job to coordinator... job failed", fields...)
	case o == resend:
		r.log.warn("Submitting job to coordinator... failed", fields...)
	case res.ok:
		r.log.info("Job succeeded", fields...)
	default:
		r.log.warn("Job failed: "+res.reason, fields...)
	}
}

func (r *Runner) preamble(s *section, t *trace) {
	t.printf("\x1b[0KRunning with gitlab-runner %s\x1b[0;m\n", banner(r.opts.Version))
	if r.systemID != "" {
		t.printf("\x1b[0K  on %s %s, system ID: %s\x1b[0;m\n", s.config.Name, r.short(s), r.systemID)
	} else {
		t.printf("\x1b[0K  on %s %s\x1b[0;m\n", s.config.Name, r.short(s))
	}
	t.printf("\x1b[0K\x1b[36;1mPreparing the \"shell\" executor\x1b[0;m\x1b[0;m\n")
	t.printf("\x1b[0KUsing Shell (sh) executor...\x1b[0;m\n")
	t.printf("\x1b[0K\x1b[36;1mGetting source from Git repository\x1b[0;m\x1b[0;m\n")
	t.printf("\x1b[32;1mSkipping Git repository setup\x1b[0;m\n")
}

// outlive returns a context that ends grace after parent did.
func outlive(parent context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() { stop(); cancel() }
}
