package app

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"rekey"
	"rekey/internal/agent"
)

// listen serves /healthz and /metrics until stop is called; address is where.
func (a *App) listen(ctx context.Context, on string, k *agent.Agent) (stop func(), address string, err error) {
	if on == "" {
		return func() {}, "", nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", on)
	if err != nil {
		return nil, "", rekey.Errorf(rekey.KindInvalid, "--listen %s: %w", on, err).WithHint("name an address of this machine and a free port, as 127.0.0.1:9252; port 0 takes any")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { a.health(w, k.Health()) })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = k.Metrics(w) // the reader went away
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // it ends by Close
	}()
	return func() { _ = server.Close(); <-served }, l.Addr().String(), nil
}

func (a *App) health(w http.ResponseWriter, h agent.Health) {
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !h.Healthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, a.Scrub(string(text))+"\n") // the reader went away
}
