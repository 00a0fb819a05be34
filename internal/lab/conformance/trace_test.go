package conformance_test

import "strings"

// traceCases are section 3.3: PATCH /jobs/:id/trace.
var traceCases = []testCase{
	prove("3.3-appended 3.3-range-is-size 3.3-interval", func(w *world) {
		a := w.trace(w.running(), "0-5", "CANARY")
		w.want(a, 202, "")
		w.is("Job-Status", a.Header.Get("Job-Status"), "running")
		w.is("Range", a.Header.Get("Range"), "0-6")
		w.true("an interval", a.Header.Get("X-GitLab-Trace-Update-Interval") != "")
	}),
	prove("3.3-interval-60", func(w *world) {
		w.is("interval", w.trace(w.running(), "0-5", "CANARY").Header.Get("X-GitLab-Trace-Update-Interval"), "60")
	}),
	prove("3.3-interval-watched", func(w *world) {
		j := w.running()
		w.Watch(j.ID)
		w.is("interval", w.trace(j, "0-5", "CANARY").Header.Get("X-GitLab-Trace-Update-Interval"), "3")
	}),
	prove("3.3-empty", func(w *world) { w.traced(w.trace(w.running(), "0-0", ""), 202, "0-0") }),
	prove("3.3-end-ignored 3.3-total-tolerated", func(w *world) {
		j := w.running()
		w.traced(w.trace(j, "0-999", "CANARY"), 202, "0-6")
		w.traced(w.trace(j, "6-7/8", "xy"), 202, "0-8")
	}),
	prove("3.3-no-range", func(w *world) {
		j := w.running()
		w.want(w.send("PATCH", at("jobs/%d/trace", j.ID), "text/plain", "x", "JOB-TOKEN", j.Token), 400, `{"error":"400 Missing header Content-Range"}`)
	}),
	prove("3.3-too-far 3.3-too-early", func(w *world) {
		j := w.running()
		w.traced(w.trace(j, "0-5", "CANARY"), 202, "0-6")
		for _, start := range []string{"9-12", "2-5", "0-5"} {
			a := w.trace(j, start, "xyz")
			w.want(a, 416, `{"error":"416 Range Not Satisfiable"}`)
			w.traced(a, 416, "0-6")
		}
	}),
	prove("3.3-resend-all", func(w *world) { w.traced(w.trace(w.running(), "6-8", "xyz"), 416, "0-0") }),
	prove("3.3-forbidden", func(w *world) {
		j := w.running()
		j.Token = "CANARYbad"
		w.want(w.trace(j, "0-0", "x"), 403, forbidden)
	}),
	prove("3.3-finished", func(w *world) {
		a := w.trace(w.finished("failed"), "0-0", "x")
		w.wantPart(a, 403, `{"message":"403 Forbidden`)
		w.is("Job-Status", a.Header.Get("Job-Status"), "failed")
	}),
	prove("3.3-too-big", func(w *world) {
		w.limit("ci_jobs_trace_size_limit", 1)
		j := w.running()
		w.want(w.trace(j, "0-0", strings.Repeat("x", 1<<20+1)), 403, `{"error":"403 Forbidden"}`)
		got := w.job(j)
		w.is("job", []any{got["status"], got["failure_reason"]}, []any{"failed", "trace_size_exceeded"})
	}).byItself(),
	prove("3.3-limit", func(w *world) {
		w.Setting(M{"runner_jobs_patch_trace_api_limit": 1})
		j := w.running()
		w.traced(w.trace(j, "0-0", "a"), 202, "0-1")
		w.want(w.trace(j, "1-1", "b"), 429, "")
	}).elsewhere(func(w *world) {
		w.Setting(M{"runner_jobs_patch_trace_api_limit": 1})
		j := w.running()
		w.traced(w.trace(j, "0-0", "a"), 202, "0-1")
		w.traced(w.trace(j, "1-1", "b"), 202, "0-2")
	}).byItself(),
	prove("3.3-debug", func(w *world) {
		j := w.running()
		w.traced(w.send("PATCH", at("jobs/%d/trace?debug_trace=true", j.ID), "text/plain", "x", "JOB-TOKEN", j.Token, "Content-Range", "0-0"), 202, "0-1")
	}),
}

func (w *world) traced(a answer, status int, wantRange string) {
	w.want(a, status, "")
	w.is("Range", a.Header.Get("Range"), wantRange)
}
