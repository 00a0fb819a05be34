package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"rekey"
	"rekey/internal/lab"
	"rekey/internal/lab/simrunner"
)

// LabInput is what lab up is asked.
type LabInput struct {
	Dir, Listen, Version, Profile, URL string
}

// LabUp serves a lab in the foreground until ctx ends. Once it serves, DIR/lab.json
// is there and one line is written to out.
func (a *App) LabUp(ctx context.Context, in LabInput, out io.Writer) error {
	options := lab.Options{Dir: in.Dir, Profile: in.Profile, Now: a.Now, URL: in.URL}
	if in.Version != "" {
		v, err := rekey.ParseVersion(in.Version)
		if err != nil {
			return err
		}
		options.Version = v
	}
	server, err := lab.Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	listener, err := net.Listen("tcp", in.Listen)
	if err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "the lab cannot listen: %w", err).WithHint("choose another address with --listen 127.0.0.1:0")
	}
	if in.URL == "" {
		server.SetURL("http://" + listener.Addr().String())
	}
	if err := server.WriteInfo(); err != nil {
		return err
	}
	fmt.Fprintln(out, server.StartLine())
	return server.Serve(ctx, listener)
}

// SimulatedInput is what lab runner is asked.
type SimulatedInput struct {
	Config, Version, BuildsDir string
}

// SimulatedRunner runs until ctx ends: SIGHUP reloads, SIGQUIT drains.
func (a *App) SimulatedRunner(ctx context.Context, in SimulatedInput, log io.Writer) error {
	options := simrunner.Options{Config: in.Config, Log: log, Now: a.Now, BuildsDir: in.BuildsDir, Getenv: func(name string) string { return a.env(name) }}
	if in.Version != "" {
		v, err := rekey.ParseVersion(in.Version)
		if err != nil {
			return err
		}
		options.Version = v
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	runner, err := simrunner.New(options)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == syscall.SIGQUIT {
					runner.Drain()
				} else {
					runner.Reload()
				}
			}
		}
	}()
	return runner.Run(ctx)
}
