package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	connections = 8
	rounds      = 5               // the lab and its peer take turns
	turn        = 3 * time.Second // of one of them in one round

	pollers  = 10_000
	interval = 3 * time.Second
	watched  = 30 * time.Second

	made  = 5_000
	fleet = 100_000
)

// BenchmarkIdlePoll compares the lab's POST /jobs/request, no job being there,
// with a bare handler that decodes the same body. Both are processes of their own
// and take turns; both get the same bytes from the same client.
func BenchmarkIdlePoll(b *testing.B) {
	l, peer := startLab(b), startPeer(b)
	requests := l.polls(b, l.records(b, 1000))
	for b.Loop() {
		var ratios, ours, theirs []float64
		for range rounds {
			bare, lab := throughput(b, peer, requests), throughput(b, l.URL, requests)
			ours, theirs, ratios = append(ours, lab), append(theirs, bare), append(ratios, lab/bare)
		}
		b.ReportMetric(median(ours), "lab-polls/s")
		b.ReportMetric(median(theirs), "bare-polls/s")
		b.ReportMetric(median(ratios), "lab/bare")
		b.ReportMetric(slices.Min(ratios), "lab/bare-worst")
	}
}

// throughput is the polls a second that base answers on eight connections.
func throughput(b *testing.B, base string, requests [][]byte) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), turn)
	defer cancel()
	var answered atomic.Int64
	began := time.Now()
	each(b, base, connections, connections, func(w *wire, first int) error {
		for i := first; ctx.Err() == nil; i = (i + connections) % len(requests) {
			if err := idle(w, requests[i]); err != nil {
				return err
			}
			answered.Add(1)
		}
		return nil
	})
	return float64(answered.Load()) / time.Since(began).Seconds()
}

func idle(w *wire, request []byte) error {
	got, err := w.do(request)
	if err == nil && got.status != 204 {
		err = fmt.Errorf("an idle poll was answered %d %s", got.status, got.body)
	}
	return err
}

// BenchmarkPollers lets 10,000 runners poll every 3 s, each on a connection of its
// own. A poll's time counts from when it was due, so that a lab that falls behind
// cannot hide it.
func BenchmarkPollers(b *testing.B) {
	l := startLab(b)
	requests := l.polls(b, l.records(b, pollers))
	for b.Loop() {
		took := l.pollFor(b, requests, watched)
		slices.Sort(took)
		b.ReportMetric(float64(len(took))/watched.Seconds(), "polls/s")
		for _, p := range []float64{50, 99, 99.9} {
			b.ReportMetric(percentile(took, p/100).Seconds()*1000, fmt.Sprintf("p%g-ms", p))
		}
		now, _ := resident(b, l.PID)
		b.ReportMetric(now, "lab-MB")
	}
}

func (l *labProcess) pollFor(b *testing.B, requests [][]byte, length time.Duration) []time.Duration {
	b.Helper()
	wires := make([]*wire, len(requests))
	for i := range wires {
		w, err := dial(l.URL)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = w.conn.Close() })
		wires[i] = w
	}
	runtime.GC()
	perRunner := int(length / interval)
	took := make([]time.Duration, len(requests)*perRunner)
	errs := make(chan error, len(requests))
	began := time.Now().Add(time.Second)
	var all sync.WaitGroup
	for i, w := range wires {
		all.Go(func() {
			due := began.Add(interval * time.Duration(i) / time.Duration(len(requests)))
			for n := range perRunner {
				<-time.After(time.Until(due))
				if err := idle(w, requests[i]); err != nil {
					errs <- err
					return
				}
				took[i*perRunner+n] = time.Since(due)
				due = due.Add(interval)
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		b.Fatal(err)
	}
	return took
}

// BenchmarkNewRunner counts POST /runners and POST /user/runners a second. Each is
// on disk before it is answered.
func BenchmarkNewRunner(b *testing.B) {
	l := startLab(b)
	for _, way := range []struct {
		name string
		make func(*wire) (string, error)
	}{{"register", l.register}, {"create", l.create}} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				began := time.Now()
				each(b, l.URL, connections, made, func(w *wire, _ int) error { _, err := way.make(w); return err })
				b.ReportMetric(made/time.Since(began).Seconds(), "runners/s")
			}
		})
	}
}

// BenchmarkFleetMemory makes 100,000 records, lets each poll once, and reports the
// lab's resident memory after either.
func BenchmarkFleetMemory(b *testing.B) {
	l := startLab(b)
	for b.Loop() {
		began := time.Now()
		tokens := l.records(b, fleet)
		b.ReportMetric(fleet/time.Since(began).Seconds(), "runners/s")
		_, peak := resident(b, l.PID)
		b.ReportMetric(peak, "records-MB")
		l.polls(b, tokens)
		_, peak = resident(b, l.PID)
		b.ReportMetric(peak, "polled-MB")
	}
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
